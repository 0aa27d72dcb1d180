/** scripts/install.mjs in a small package of its own, with stand-ins for node-gyp and tsc that write what they were asked for. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'

const NATIVE = ['build/Release/netloom_native.node', 'build/Release/netloom-shim', 'build/Release/netloom-uplink']
const COMPILED = ['dist/src/index.js', 'dist/src/cli/main.js']

describe('the install script', () => {
  let root = ''

  function write(file: string, text: string): void {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
    writeFileSync(path.join(root, file), text)
  }

  /** A tool that notes that it ran, and succeeds when there is no file `broken-NAME`. */
  function tool(name: string, outputs: string[]): string {
    return `const fs = require('node:fs'), path = require('node:path')
      fs.appendFileSync('ran', '${name} ')
      if (fs.existsSync('broken-${name}')) process.exit(1)
      for (const output of ${JSON.stringify(outputs)}) {
        fs.mkdirSync(path.dirname(output), { recursive: true })
        fs.writeFileSync(output, '')
      }`
  }

  /** Runs it and tells which tools ran. */
  function install(env: Record<string, string> = {}): { code: number | null; ran: string; stderr: string } {
    rmSync(path.join(root, 'ran'), { force: true })
    const { npm_command, ...rest } = process.env
    const result = spawnSync(process.execPath, ['scripts/install.mjs'], { cwd: root, encoding: 'utf8', env: { ...rest, ...env } })
    const ran = existsSync(path.join(root, 'ran')) ? readFileSync(path.join(root, 'ran'), 'utf8').trim() : ''
    return { code: result.status, ran, stderr: result.stderr }
  }

  beforeEach(() => {
    root = mkdtempSync(path.join(os.tmpdir(), 'netloom-install-'))
    mkdirSync(path.join(root, 'scripts'))
    cpSync('scripts/install.mjs', path.join(root, 'scripts/install.mjs'))
    write('node_modules/node-gyp/package.json', '{"version":"1.0.0"}')
    write('node_modules/node-gyp/bin/node-gyp.js', tool('gyp', NATIVE))
    write(
      'scripts/build.mjs',
      `import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)\n${tool('tsc', COMPILED)}`
    )
    write('binding.gyp', '{}')
    write('native/addon.cc', 'int one;')
    write('tsconfig.json', '{}')
    write('src/index.ts', 'export const one = 1')
  })
  afterEach(() => rmSync(root, { recursive: true }))

  it('builds once, and again only what has changed: npx comes here each time', () => {
    assert.deepEqual(install(), { code: 0, ran: 'gyp tsc', stderr: '' })
    assert.deepEqual(install(), { code: 0, ran: '', stderr: '' })
    write('src/more.ts', 'export const two = 2')
    assert.equal(install().ran, 'tsc')
    write('native/addon.cc', 'int two;')
    assert.equal(install().ran, 'gyp')
    write('node_modules/node-gyp/package.json', '{"version":"1.0.1"}')
    assert.equal(install().ran, 'gyp')
    assert.equal(install().ran, '')
  })

  it('builds again what was deleted, and everything for `npm rebuild`', () => {
    install()
    rmSync(path.join(root, 'build/Release/netloom-shim'))
    assert.equal(install().ran, 'gyp')
    assert.equal(install({ npm_command: 'rebuild' }).ran, 'gyp tsc')
  })

  it('tells that the native build failed, goes on, and tries again the next time', () => {
    write('broken-gyp', '')
    const failed = install()
    assert.deepEqual([failed.code, failed.ran], [0, 'gyp tsc'])
    assert.match(failed.stderr, /Install a C\+\+ compiler and Python 3, then: npm rebuild/)
    assert.equal(install().ran, 'gyp')
  })

  it('fails when the sources do not compile', () => {
    write('broken-tsc', '')
    const failed = install()
    assert.equal(failed.code, 1)
    assert.match(failed.stderr, /the TypeScript build failed \(exit 1\)/)
  })

  it('compiles nothing in a published package', () => {
    rmSync(path.join(root, 'tsconfig.json'))
    assert.deepEqual(install(), { code: 0, ran: 'gyp', stderr: '' })
  })
})

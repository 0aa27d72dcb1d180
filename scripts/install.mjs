// Runs at `npm ci` / `npm install`: builds the addon, the shim and, in a checkout, the TypeScript.
// A machine without a compiler still gets a working library (no TAPs, no sandboxes): the failure is told, not thrown.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)

function run(label, file, args) {
  const result = spawnSync(process.execPath, [file, ...args], { cwd: root, stdio: 'inherit' })
  if (result.status === 0) return true
  console.error(`netloom: ${label} failed (${result.error?.message ?? `exit ${result.status}`})`)
  return false
}

/** The prefix of this node's own headers: spares node-gyp a download. */
function headersPrefix() {
  const prefix = path.dirname(path.dirname(process.execPath))
  return existsSync(path.join(prefix, 'include', 'node', 'node_api.h')) ? prefix : undefined
}

const prefix = headersPrefix()
const gyp = require.resolve('node-gyp/bin/node-gyp.js')
const gypArgs = ['rebuild', '--silent', ...(prefix ? [`--nodedir=${prefix}`] : [])]
if (process.platform !== 'linux') {
  console.error('netloom: not Linux: TAP devices and sandboxes are left out')
} else if (!run('the native build', gyp, gypArgs)) {
  console.error('netloom: TAP devices and sandboxes will not work. Install a C++ compiler and Python 3, then: npm rebuild')
}
if (existsSync(path.join(root, 'tsconfig.json')) && existsSync(path.join(root, 'src'))) {
  if (!run('the TypeScript build', path.join(root, 'scripts/build.mjs'), [])) process.exit(1)
}

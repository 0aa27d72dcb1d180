// Programs are started with all kinds of options of node; the engine thread must start with each.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'

const ENGINE = new URL('../../src/network/threaded-engine.js', import.meta.url).href
const PROGRAM = `
  import(${JSON.stringify(ENGINE)}).then(async ({ ThreadedEngine }) => {
    const engine = new ThreadedEngine({ seed: 1 })
    console.log(await engine.framesInUse())
    await engine.close()
  })`

describe('the engine thread starts under', () => {
  for (const option of ['--max-old-space-size=512', '--expose-gc', '--no-warnings', '--enable-source-maps', '--input-type=module']) {
    test(`node ${option}`, () => {
      const { stdout, stderr } = spawnSync(process.execPath, [option, '-e', PROGRAM], { encoding: 'utf8' })
      assert.equal(stdout, '0\n', stderr)
    })
  }
})

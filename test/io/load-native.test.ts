import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { load, loadNative, NativeUnavailableError, tryLoadNative } from '../../src/io/load-native.ts'

test('a missing and a broken build are both named with their path and reason', () => {
  const root = mkdtempSync(path.join(tmpdir(), 'netloom-load-'))
  try {
    const broken = path.join(root, 'build/Release/netloom_native.node')
    mkdirSync(path.dirname(broken), { recursive: true })
    writeFileSync(broken, 'not an ELF file, whatever its name says')
    const error = load(root)
    assert.ok(error instanceof NativeUnavailableError)
    assert.equal(error.code, 'ERR_NATIVE_UNAVAILABLE')
    assert.equal(error.attempts.length, 2)
    assert.match(error.attempts[0].reason, /invalid ELF header|file too short/)
    assert.equal(error.attempts[1].reason, 'no such file')
    for (const attempt of error.attempts) assert.ok(error.message.includes(`${attempt.path}: ${attempt.reason}`))
    assert.match(error.message, /npm rebuild/)
  } finally {
    rmSync(root, { recursive: true })
  }
})

test('NETLOOM_NO_NATIVE=1 hides the addon', () => {
  const before = process.env['NETLOOM_NO_NATIVE']
  process.env['NETLOOM_NO_NATIVE'] = '1'
  try {
    assert.throws(() => loadNative(), { code: 'ERR_NATIVE_UNAVAILABLE', message: /NETLOOM_NO_NATIVE/ })
    assert.equal(tryLoadNative(), null)
  } finally {
    if (before === undefined) delete process.env['NETLOOM_NO_NATIVE']
    else process.env['NETLOOM_NO_NATIVE'] = before
  }
})

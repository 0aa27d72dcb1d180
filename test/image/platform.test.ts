import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fitsPlatform, formatPlatform, parsePlatform } from '../../src/image/platform.ts'

test('read, with the usual names, and written', () => {
  for (const [text, expected] of [
    ['linux/amd64', 'linux/amd64'],
    ['Linux/X86_64', 'linux/amd64'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/armel', 'linux/arm/v6'],
    ['linux/arm/6', 'linux/arm/v6'],
    ['arm64', 'linux/arm64'],
    ['macos/arm64', 'darwin/arm64'],
    ['nonsense/x', 'nonsense/x']
  ]) {
    assert.equal(formatPlatform(parsePlatform(text!)), expected, text)
  }
  assert.equal(parsePlatform('windows').os, 'windows')
})

test('what is none', () => {
  assert.throws(() => parsePlatform('nonsense'), { message: '"nonsense": unknown operating system or architecture: invalid argument' })
  assert.throws(() => parsePlatform('a/b/c/d'), { message: '"a/b/c/d": cannot parse platform specifier: invalid argument' })
  assert.throws(() => parsePlatform('linux/a b'), /^Error: "a b" is an invalid component of "linux\/a b"/)
})

test('an image fits its own platform, and of ARM a later one', () => {
  const fits = (has: string, wanted: string): boolean => fitsPlatform(parsePlatform(has), parsePlatform(wanted))
  assert.ok(fits('linux/amd64', 'linux/x86_64'))
  assert.ok(!fits('linux/amd64', 'linux/arm64'))
  assert.ok(!fits('linux/amd64', 'windows/amd64'))
  assert.ok(fits('linux/arm/v6', 'linux/arm/v7'))
  assert.ok(!fits('linux/arm/v7', 'linux/arm/v6'))
  assert.ok(fitsPlatform({ os: 'linux', architecture: 'arm', variant: '' }, parsePlatform('linux/arm/v6')))
})

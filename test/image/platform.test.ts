import assert from 'node:assert/strict'
import { test } from 'node:test'
import { architectureOf } from '../../src/image/image-file.ts'
import { fitsPlatform, formatPlatform, parsePlatform } from '../../src/image/platform.ts'

// As dockerd 20.10.24 answered for each of them.
test('read, with the usual names, and written', () => {
  for (const [text, expected] of [
    ['linux/amd64', 'linux/amd64'],
    ['Linux/X86_64', 'linux/amd64'],
    ['linux/i386/x', 'linux/386'],
    ['linux/386/x', 'linux/386/x'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64/v8'],
    ['linux/arm64/8', 'linux/arm64/v8'],
    ['linux/arm64/9', 'linux/arm64/9'],
    ['linux/arm', 'linux/arm'],
    ['linux/arm/v7', 'linux/arm/v7'],
    ['linux/ARM/7', 'linux/arm/v7'],
    ['linux/arm/9', 'linux/arm/9'],
    ['linux/armel', 'linux/arm/v6'],
    ['linux/armel/v7', 'linux/arm/v6'],
    ['linux/armhf', 'linux/arm'],
    ['linux/armhf/v6', 'linux/arm/v7'],
    ['arm', 'linux/arm'],
    ['arm64', 'linux/arm64'],
    ['mips64p32le', 'linux/mips64p32le'],
    ['linux/mips/7', 'linux/mips/7'],
    ['macos/arm64', 'darwin/arm64'],
    ['nonsense/x', 'nonsense/x']
  ]) {
    assert.equal(formatPlatform(parsePlatform(text!)), expected, text)
  }
  for (const os of ['windows', 'hurd', 'nacl']) {
    assert.deepEqual(parsePlatform(os), { os, architecture: architectureOf(process.arch), variant: '' })
  }
})

test('what is none', () => {
  const rule = 'platform specifier component must match "^[A-Za-z0-9_-]+$"'
  for (const [text, message] of [
    ['nonsense', '"nonsense": unknown operating system or architecture'],
    ['wasip1', '"wasip1": unknown operating system or architecture'],
    ['a/b/c/d', '"a/b/c/d": cannot parse platform specifier'],
    ['linux/a b', `"a b" is an invalid component of "linux/a b": ${rule}`],
    ['linux/', `"" is an invalid component of "linux/": ${rule}`],
    ['linux"', `"linux\\"" is an invalid component of "linux\\"": ${rule}`],
    ['a\nb', `"a\\nb" is an invalid component of "a\\nb": ${rule}`],
    ['linux/*', '"linux/*": wildcards not yet supported']
  ]) {
    assert.throws(() => parsePlatform(text!), { code: 'invalid', message: `${message}: invalid argument` })
  }
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

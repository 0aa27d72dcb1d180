import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CaptureFileError } from '../../src/capture/capture-error.ts'
import { CliError, ExitCode, usageError } from '../../src/cli/cli-error.ts'
import { explainError } from '../../src/cli/explain-error.ts'

function systemError(code: string, syscall: string, message: string): Error {
  return Object.assign(new Error(message), { code, syscall, errno: -1 })
}

describe('explainError', () => {
  const cases: [name: string, error: Error, fix: RegExp][] = [
    ['the tun driver is not loaded', systemError('ENOENT', 'open', 'open /dev/net/tun: No such file or directory'), /modprobe tun/],
    [
      'the device is closed to this user',
      systemError('EACCES', 'open', 'open /dev/net/tun: Permission denied'),
      /chmod 0666 \/dev\/net\/tun/
    ],
    ['TUNSETIFF without CAP_NET_ADMIN', systemError('EPERM', 'ioctl TUNSETIFF', 'TAP nl0: Operation not permitted'), /run as root/],
    ['a name that is taken', systemError('EBUSY', 'ioctl TUNSETIFF', 'TAP nl0: Device or resource busy'), /another name/],
    [
      'a name of an interface that is no TAP',
      systemError('EINVAL', 'ioctl TUNSETIFF', 'TAP eth0: Invalid argument'),
      /is no TAP.*another name/
    ],
    [
      'a namespace of another user',
      systemError('EACCES', 'open', '/proc/1/ns/net may not be entered by this user: run as root'),
      /run as root/
    ],
    ['no more user namespaces', systemError('ENOSPC', 'unshare', 'unshare: No space left on device'), /max_user_namespaces/],
    ['a full disk', systemError('ENOSPC', 'write', 'write demo.pcapng: No space left on device'), /disk is full/],
    ['too many open files', systemError('EMFILE', 'open', 'open x: Too many open files'), /ulimit -n/],
    ['a missing file', systemError('ENOENT', 'open', "ENOENT: no such file or directory, open 'lab.json'"), /check the path/]
  ]
  for (const [name, error, fix] of cases) {
    it(`knows a fix for ${name}`, () => {
      const explained = explainError(error)
      assert.match(explained.fix ?? '', fix)
      assert.equal(explained.message, error.message)
      assert.equal(explained.code, (error as NodeJS.ErrnoException).code)
      assert.equal(explained.exitCode, ExitCode.failed)
      assert.equal(explained.cause, error)
    })
  }

  it('keeps the fix that an error brings along', () => {
    const error = Object.assign(new Error("subnet '10.0.0.0/33' has no valid prefix length"), { code: 'ERR_SUBNET', fix: 'give 0 to 32' })
    assert.equal(explainError(error).fix, 'give 0 to 32')
  })

  it('adds nothing to the advice of a capture that cannot be written', () => {
    const error = CaptureFileError.from('open', '/nowhere/x.pcapng', systemError('ENOENT', 'open', 'no such file'))
    assert.deepEqual([explainError(error).message, explainError(error).fix], [error.message, undefined])
  })

  it('invents no fix for a code that it does not know', () => {
    assert.equal(explainError(Object.assign(new Error('odd'), { code: 'ERR_ODD' })).fix, undefined)
  })

  it('calls an error without a code a defect of ours', () => {
    for (const thrown of [new TypeError('x is undefined'), 'a string']) {
      const explained = explainError(thrown)
      assert.equal(explained.code, 'ERR_INTERNAL')
      assert.match(explained.message, /^internal error: /)
      assert.match(explained.fix ?? '', /--debug/)
    }
  })

  it('hands a CliError on as it is', () => {
    const error = usageError("--ip '1.2.3' is no IPv4 address")
    assert.equal(explainError(error), error)
    assert.equal(error.exitCode, ExitCode.usage)
    assert.equal(new CliError('x', { code: 'ERR_X' }).exitCode, ExitCode.failed)
  })
})

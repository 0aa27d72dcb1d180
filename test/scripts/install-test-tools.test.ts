/** Only what changes nothing on the machine: what the script lists, and when it declines. */
import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'

/** Handed over as text: another user may not be able to read this checkout. */
const SCRIPT = readFileSync('scripts/install-test-tools', 'utf8')

describe('install-test-tools', () => {
  let programs = ''
  beforeEach(() => {
    programs = mkdtempSync(path.join(os.tmpdir(), 'netloom-programs-'))
    chmodSync(programs, 0o755)
    for (const needed of ['bash', 'sort', 'cat']) symlinkSync(`/usr/bin/${needed}`, path.join(programs, needed))
  })
  afterEach(() => rmSync(programs, { recursive: true }))

  /** Sees the programs of the folder only (and those of sbin), as a user who is not root. */
  function run(...args: string[]): SpawnSyncReturns<string> {
    const unprivileged = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
    return spawnSync('/usr/bin/bash', ['-s', '--', ...args], {
      input: SCRIPT,
      cwd: programs,
      encoding: 'utf8',
      env: { PATH: programs },
      ...unprivileged
    })
  }

  function pretend(...names: string[]): void {
    for (const name of names) writeFileSync(path.join(programs, name), '#!/bin/sh\nexit 1\n', { mode: 0o755 })
  }

  const ALL = [
    ...['ip', 'bridge', 'ping', 'tcpdump', 'tshark', 'iperf3', 'dig', 'ethtool', 'busybox', 'ps', 'unshare', 'newuidmap'],
    ...['etcd', 'zkServer.sh', 'docker', 'dockerd', 'iptables', 'dnsperf', 'curl', 'socat', 'python3', 'wrk']
  ]

  it('lists the packages, and which are missing', () => {
    pretend('tshark')
    const { status, stdout } = run('--list')
    assert.equal(status, 0)
    assert.match(stdout, /^tshark: \/.*\/tshark$/m)
    assert.match(stdout, /^bind9-dnsutils: missing \(dig\)$/m)
    assert.doesNotMatch(stdout, /openvswitch/)
    assert.match(run('--list', '--bench').stdout, /^openvswitch-switch: /m)
  })

  it('says nothing with --missing when nothing is missing', () => {
    pretend(...ALL)
    const { status, stdout, stderr } = run('--missing')
    assert.deepEqual([status, stdout, stderr], [0, '', ''])
    assert.match(run().stdout, /every program is there/)
  })

  it('declines with exit code 0 when it is not root, naming what is missing', () => {
    pretend(...ALL.filter((name) => name !== 'dig'), 'apt-get')
    const { status, stderr } = run('--missing')
    assert.equal(status, 0)
    assert.match(stderr, /cannot install bind9-dnsutils: not root/)
  })

  it('declines with exit code 0 where there is no apt-get', () => {
    pretend(...ALL.filter((name) => name !== 'dig'))
    const { status, stderr } = run('--missing')
    assert.equal(status, 0)
    assert.match(stderr, /no apt-get/)
  })

  it('answers a wrong option with its usage and exit code 2', () => {
    const { status, stderr } = run('--mising')
    assert.equal(status, 2)
    assert.match(stderr, /unknown option '--mising'/)
  })
})

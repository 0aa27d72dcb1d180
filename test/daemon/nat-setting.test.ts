import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { mergeConfig, readConfigFile } from '../../src/daemon/config-file.ts'
import { defaultConfig, readMember } from '../../src/daemon/daemon-config.ts'

test('of a configuration file, over the defaults', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-'))
  try {
    const file = path.join(folder, 'daemon.json')
    const nat = { mapping: 'endpoint-independent', capacity: 65_536, timeouts: { udp: 60, tcpEstablished: 7200 } }
    writeFileSync(file, JSON.stringify({ nat }))
    const defaults = defaultConfig({ HOME: '/root' }, true)
    assert.deepEqual(defaults.nat, {})
    assert.deepEqual(mergeConfig(defaults, {}, readConfigFile(file)).nat, nat)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('what cannot be names the member and its value', () => {
  for (const [value, problem] of [
    ['endpoint-independent', /is not an object/],
    [[], /is not an object/],
    [null, /is not an object/],
    [{ mapping: 'symmetric' }, /mapping "symmetric" is not 'address-and-port-dependent' or 'endpoint-independent'/],
    [{ capacity: 0 }, /capacity 0 is not a whole number from 1 to/],
    [{ capacity: '9' }, /capacity "9" is not a whole number/],
    [{ timeouts: 5 }, /5 is not an object/],
    [{ timeouts: { udp: 0 } }, /timeouts\.udp 0 is not 1 to 1000000 seconds/],
    [{ timeouts: { sctp: 5 } }, /timeouts "sctp" is none of tcpSynSent, /],
    [{ fastPath: false }, /"fastPath" is none of mapping, capacity, timeouts/]
  ] as const) {
    const refused = { code: 'ERR_DAEMON_CONFIG', message: new RegExp(`^daemon\\.json: nat: .*${problem.source}`) }
    assert.throws(() => readMember('nat', value, 'daemon.json: nat'), refused, JSON.stringify(value))
  }
})

/** The settings of a cluster: what they may be, alone and together. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { clusterSetting } from '../../src/daemon/cluster-setting.ts'
import { mergeConfig } from '../../src/daemon/config-file.ts'
import { defaultConfig, readMember } from '../../src/daemon/daemon-config.ts'

const NONE = defaultConfig({}, true)

describe('one setting', () => {
  for (const [name, value, message] of [
    ['cluster-store', 'etcd:192.0.2.60', /is not a store's URL such as etcd:\/\/192\.0\.2\.60:2379/],
    ['cluster-store', 'mongo://192.0.2.60:1', /mongo:\/\/192\.0\.2\.60:1 is not a store's URL such as etcd:/],
    ['cluster-store', 'etcd://192.0.2.60:2379,[2001:db8::1:2379', /\[2001:db8::1:2379 is not a server such as/],
    ['cluster-advertise', '192.0.2.50', /is neither ADDR:PORT nor IFACE:PORT/],
    ['cluster-advertise', '192.0.2.50:0', /is neither ADDR:PORT nor IFACE:PORT/],
    ['cluster-advertise', ':2376', /is neither ADDR:PORT nor IFACE:PORT/],
    ['cluster-store-opts', ['kv.path'], /"kv.path" is not KEY=VALUE/],
    ['cluster-store-opts', { 'kv.path': 1 }, /option kv.path: 1 is not a text/],
    ['underlay', 'wire', /"wire" is none of tap, udp/],
    ['overlay-port', '80', /"80" is no port from 1024 to 49151/],
    ['overlay-port', 49152, /49152 is no port/],
    ['overlay-port', '4789x', /"4789x" is no port/],
    ['overlay-port', 4789.5, /4789.5 is no port/]
  ] as const) {
    test(`${name} ${JSON.stringify(value)} is refused`, () => {
      assert.throws(() => readMember(name, value, `--${name}`), { code: 'ERR_DAEMON_CONFIG', message })
    })
  }

  test('options come as an object, or as texts KEY=VALUE whose values may have an = too', () => {
    assert.deepEqual(readMember('cluster-store-opts', ['kv.path=a=b', 'discovery.ttl=5'], ''), { 'kv.path': 'a=b', 'discovery.ttl': '5' })
    assert.deepEqual(readMember('cluster-store-opts', { 'kv.path': 'lab' }, ''), { 'kv.path': 'lab' })
  })

  test('the port of VXLAN: Docker’s, or a number, as a text of a flag too', () => {
    assert.equal(NONE['overlay-port'], 4789)
    assert.equal(readMember('overlay-port', '14789', ''), 14_789)
    assert.equal(readMember('overlay-port', 14_789, ''), 14_789)
  })

  test('a store’s user and password are taken, and never told', () => {
    const url = 'etcd://me:se%2Fcret@192.0.2.60:2379/lab'
    assert.equal(readMember('cluster-store', url, ''), url)
    const options = { 'cluster-store': url, 'cluster-store-opts': { 'kv.password': 'secret' } }
    for (const attempt of [
      () => readMember('cluster-store', 'etcd://me:secret@192.0.2.60:0', ''),
      () => readMember('cluster-store', 'mongo://me:secret@192.0.2.60', ''),
      () => mergeConfig(NONE, options, options, 'daemon.json')
    ]) {
      assert.throws(attempt, ({ code, message }) => code === 'ERR_DAEMON_CONFIG' && !/se(%2F)?cret/.test(message))
    }
  })

  test('in the file and by flag at once: refused, as dockerd does', () => {
    const flags = { 'cluster-store': 'etcd://192.0.2.60:2379' }
    assert.throws(
      () => mergeConfig(NONE, flags, flags, 'daemon.json'),
      /specified both as a flag and in the configuration file: cluster-store/
    )
  })
})

describe('together', () => {
  const store = 'etcd://192.0.2.60:2379'

  test('none: a daemon on its own', () => {
    assert.equal(clusterSetting(NONE), undefined)
  })

  test('an address without a store, and a store without an address, are refused', () => {
    assert.throws(() => clusterSetting({ ...NONE, 'cluster-advertise': '192.0.2.50:2376' }), {
      code: 'ERR_DAEMON_CONFIG',
      message: 'invalid cluster configuration: --cluster-advertise must be accompanied by --cluster-store configuration'
    })
    assert.throws(() => clusterSetting({ ...NONE, 'cluster-store': store }), /needs --cluster-advertise ADDR:PORT or IFACE:PORT/)
  })

  test('the address may be IPv4, IPv6, or that of an interface', () => {
    const of = (advertise: string) => clusterSetting({ ...NONE, 'cluster-store': store, 'cluster-advertise': advertise })
    assert.deepEqual(of('192.0.2.50:2376'), { store, options: {}, advertise: '192.0.2.50:2376', address: '192.0.2.50' })
    assert.deepEqual(of('[2001:db8::50]:2376'), { store, options: {}, advertise: '[2001:db8::50]:2376', address: '2001:db8::50' })
    assert.equal(of('lo:2376')?.address, '127.0.0.1')
    assert.throws(() => of('nowhere0:2376'), /the host has no interface nowhere0 with an address/)
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mergeConfig } from '../../src/daemon/config-file.ts'
import { defaultConfig, readMember } from '../../src/daemon/daemon-config.ts'
import { checkUplink, isOnHost, parseInterface, uplinkChoices } from '../../src/daemon/uplink-setting.ts'

test('words, and an interface with its address', () => {
  for (const text of ['auto', 'none-legacy', 'none', 'host', 'user', 'interface=eth0,address=192.0.2.9/24'])
    assert.equal(checkUplink(text), text)
  assert.deepEqual(parseInterface('interface=eth0,address=192.0.2.9/24,gateway=192.0.2.1,mac=02:cc:00:00:00:09'), {
    interface: 'eth0',
    addresses: ['192.0.2.9/24'],
    dhcp: false,
    gateways: ['192.0.2.1'],
    mac: '02:cc:00:00:00:09'
  })
  assert.deepEqual(parseInterface('interface=eth0,address=192.0.2.9/24,address=2001:db8::9/64,gateway=fe80::1'), {
    interface: 'eth0',
    addresses: ['192.0.2.9/24', '2001:db8::9/64'],
    dhcp: false,
    gateways: ['fe80::1']
  })
  assert.deepEqual(parseInterface('interface=eth0'), { interface: 'eth0', addresses: [], dhcp: true, gateways: [] })
  assert.deepEqual(parseInterface('interface=eth0,address=dhcp,address=2001:db8::9/64,address=192.0.2.9/24,gateway=192.0.2.1'), {
    interface: 'eth0',
    addresses: ['2001:db8::9/64', '192.0.2.9/24'],
    dhcp: true,
    gateways: ['192.0.2.1']
  })
  assert.deepEqual(([undefined, 'host', 'user', 'none', 'interface'] as const).map(isOnHost), [true, true, true, false, false])
})

test('by default the best that this user can have', () => {
  assert.equal(defaultConfig({ HOME: '/root' }, true).uplink, 'auto')
  assert.deepEqual(uplinkChoices('auto', true), ['host', 'user', 'none'])
  assert.deepEqual(uplinkChoices('auto', false), ['user', 'none'])
  assert.deepEqual(uplinkChoices('host', true), ['host'], 'what was asked for by name is not replaced')
})

test('what cannot be names the value', () => {
  for (const [text, problem] of [
    ['', /'' is none of auto, none, host, user and interface=/],
    ['bridge', /'bridge' is none of/],
    ['interface=eth0,address=dhcp,address=dhcp', /names dhcp twice/],
    ['address=192.0.2.9/24', /which interface\?/],
    ['interface=eth0,address=192.0.2.9/24,gateway=x', /gateway x is not an address/],
    ['interface=eth0,address=192.0.2.8/24,address=192.0.2.9/24', /an address of one family twice/],
    ['interface=eth0,address=2001:db8::9/64,gateway=192.0.2.1', /no IPv4 address on that LAN/],
    ['interface=eth0,address=192.0.2.9', /192\.0\.2\.9/],
    ['interface=a,interface=b,address=192.0.2.9/24', /names interface twice/],
    ['interface=eth0,address=192.0.2.9/24,mac=9', /9/]
  ] as const) {
    assert.throws(() => checkUplink(text), problem, text)
  }
})

test('a member of the configuration, refused with where it stands', () => {
  const defaults = defaultConfig({ HOME: '/root' }, true)
  assert.equal(mergeConfig(defaults, {}, { uplink: readMember('uplink', 'none', 'file') as string }).uplink, 'none')
  assert.throws(() => readMember('uplink', 'bridge', '--uplink'), { code: 'ERR_DAEMON_CONFIG', message: /^--uplink: 'bridge' is none of/ })
  assert.throws(() => readMember('uplink', 7, 'daemon.json: uplink'), { message: 'daemon.json: uplink: 7 is not a text' })
})

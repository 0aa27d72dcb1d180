// nf_tables in a namespace of our own: what we say over netlink is what nft then prints, and the other way round.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { NftablesBatch, type Table } from '../../src/io/netlink/nftables/batch.ts'
import {
  counter,
  immediate,
  lookUp,
  masquerade,
  meta,
  payload,
  Register,
  redirect,
  reject,
  setMark,
  translate,
  transparentProxy,
  verdict
} from '../../src/io/netlink/nftables/expressions.ts'
import {
  address,
  addressFamily,
  destinationPort,
  hostOrder,
  inState,
  interfaceName,
  portBytes,
  protocol,
  toThisMachine
} from '../../src/io/netlink/nftables/match.ts'
import { Priority } from '../../src/io/netlink/nftables/nf-tables.ts'
import { Nftables } from '../../src/io/netlink/nftables/nftables.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const native = tryLoadNative()!
const table: Table = { family: 'inet', name: 'example' }
const { first, word } = Register
const TCP = Uint8Array.of(6)
const UDP = Uint8Array.of(17)

describe('nftables', { skip: namespacesMissing('nft') }, () => {
  let netns: TestNamespace
  let nftables: Nftables
  beforeEach(() => {
    netns = new TestNamespace()
    nftables = Nftables.inNamespace(native, netns.fd)
  })
  afterEach(() => netns.close())

  /** The lines of a chain or map as nft prints them, without its head. */
  const listed = (...what: string[]): string[] =>
    netns
      .run('nft', '-n', 'list', ...what)
      .split('\n')
      .slice(2, -3)
      .map((line) => line.trim())

  test('rules of a filter chain', async () => {
    const chain = (batch: NftablesBatch): NftablesBatch =>
      batch.addTable(table).addChain(table, 'forward', { type: 'filter', hook: 'forward', priority: Priority.filter, policy: 'drop' })
    await nftables.commit(
      chain(new NftablesBatch())
        .addRule(table, 'forward', inState('established', 'related'), [verdict('accept')])
        .addRule(table, 'forward', interfaceName('iifname', '==', 'eth0'), interfaceName('oifname', '!=', 'netloom0'), [verdict('drop')])
        .addRule(table, 'forward', address('saddr', '==', '192.0.2.7'), [counter(), verdict('accept')])
        .addRule(table, 'forward', address('daddr', '!=', '198.51.100.64/26'), [verdict('return')])
        .addRule(table, 'forward', address('saddr', '==', '2001:db8:1::/47'), [verdict('accept')])
        .addRule(table, 'forward', protocol('==', 17), destinationPort('==', 53), [reject()])
    )
    assert.deepEqual(listed('chain', 'inet', 'example', 'forward'), [
      'type filter hook forward priority 0; policy drop;',
      'ct state 0x2,0x4 accept',
      'iifname "eth0" oifname != "netloom0" drop',
      'ip saddr 192.0.2.7 counter packets 0 bytes 0 accept',
      'ip daddr != 198.51.100.64/26 return',
      'ip6 saddr 2001:db8::/47 accept',
      'udp dport 53 reject'
    ])
  })

  test('masquerade, and published ports in maps of both families', async () => {
    await nftables.commit(
      new NftablesBatch()
        .addTable(table)
        .addMap(table, 'exact', { key: ['ipv4', 'protocol', 'port'], value: ['ipv4', 'port'] })
        .addMap(table, 'exact6', { key: ['ipv6', 'protocol', 'port'], value: ['ipv6', 'port'] })
        .addMap(table, 'any', { key: ['protocol', 'port'], value: ['ipv4', 'port'] })
        .addElements(table, 'exact', [
          { key: [Uint8Array.of(192, 0, 2, 1), TCP, portBytes(8080)], value: [Uint8Array.of(172, 17, 0, 2), portBytes(80)] }
        ])
        .addElements(table, 'any', [{ key: [UDP, portBytes(5353)], value: [Uint8Array.of(172, 17, 0, 3), portBytes(53)] }])
        .addChain(table, 'prerouting', { type: 'nat', hook: 'prerouting', priority: Priority.destinationNat })
        .addRule(table, 'prerouting', toThisMachine(), addressFamily(4), [
          payload('network', 16, 4, word(0)),
          meta('l4proto', word(1)),
          payload('transport', 2, 2, word(2)),
          lookUp('exact', word(0), word(0)),
          translate('dnat', 2, word(0), word(1))
        ])
        .addRule(table, 'prerouting', toThisMachine(), addressFamily(6), [
          payload('network', 24, 16, word(0)),
          meta('l4proto', word(4)),
          payload('transport', 2, 2, word(5)),
          lookUp('exact6', word(0), word(0)),
          translate('dnat', 10, word(0), word(4))
        ])
        .addChain(table, 'postrouting', { type: 'nat', hook: 'postrouting', priority: Priority.sourceNat })
        .addRule(table, 'postrouting', address('saddr', '==', '169.254.1.2'), interfaceName('oifname', '!=', 'netloom0'), [masquerade()])
    )
    assert.deepEqual(listed('chain', 'inet', 'example', 'prerouting'), [
      'type nat hook prerouting priority -100; policy accept;',
      'fib daddr type 2 dnat ip to ip daddr . meta l4proto . th dport map @exact',
      'fib daddr type 2 dnat ip6 to ip6 daddr . meta l4proto . th dport map @exact6'
    ])
    assert.deepEqual(listed('chain', 'inet', 'example', 'postrouting').slice(1), ['ip saddr 169.254.1.2 oifname != "netloom0" masquerade'])
    assert.deepEqual(listed('map', 'inet', 'example', 'exact'), [
      'type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service',
      'elements = { 192.0.2.1 . 6 . 8080 : 172.17.0.2 . 80 }'
    ])
    const gone = new NftablesBatch().deleteElements(table, 'any', [{ key: [UDP, portBytes(5353)] }])
    await nftables.commit(gone)
    assert.deepEqual(listed('map', 'inet', 'example', 'any'), ['type inet_proto . inet_service : ipv4_addr . inet_service'])
    await assert.rejects(nftables.commit(gone), { code: 'ENOENT', request: 'nft delete 1 elements inet example any' })
  })

  test('redirect and transparent proxy, for a helper namespace that ends flows itself', async () => {
    await nftables.commit(
      new NftablesBatch()
        .addTable(table)
        .addChain(table, 'redirected', { type: 'nat', hook: 'prerouting', priority: Priority.destinationNat })
        .addRule(table, 'redirected', protocol('==', 6), [immediate(first, portBytes(1080)), redirect(first)])
        .addChain(table, 'diverted', { type: 'filter', hook: 'prerouting', priority: Priority.mangle })
        .addRule(table, 'diverted', addressFamily(4), protocol('==', 17), [
          immediate(first, portBytes(1081)),
          transparentProxy(2, first),
          immediate(first, hostOrder(1)),
          setMark(first),
          verdict('accept')
        ])
    )
    assert.deepEqual(listed('chain', 'inet', 'example', 'redirected').slice(1), ['meta l4proto 6 redirect to :1080'])
    assert.deepEqual(listed('chain', 'inet', 'example', 'diverted').slice(1), [
      'meta nfproto 2 meta l4proto 17 tproxy ip to :1081 meta mark set 0x00000001 accept'
    ])
  })

  test('a batch is carried out whole or not at all', async () => {
    const bad = new NftablesBatch().addTable(table).addRule(table, 'missing', [masquerade()]).addTable({ family: 'ip', name: 'later' })
    await assert.rejects(nftables.commit(bad), { code: 'ENOENT', request: 'nft add rule inet example missing' })
    assert.deepEqual(await nftables.tables(), [])
    await nftables.commit(new NftablesBatch().deleteTable(table))
    await nftables.commit(new NftablesBatch().addTable(table))
    await nftables.commit(new NftablesBatch().deleteTable(table))
    assert.deepEqual(await nftables.tables(), [])
  })

  test('two thousand elements in one batch', async () => {
    const elements = Array.from({ length: 2000 }, (_, i) => ({
      key: [TCP, portBytes(i + 1)],
      value: [Uint8Array.of(172, 17, i >> 8, i), portBytes(80)]
    }))
    await nftables.commit(
      new NftablesBatch()
        .addTable(table)
        .addMap(table, 'any', { key: ['protocol', 'port'], value: ['ipv4', 'port'] })
        .addElements(table, 'any', elements)
    )
    assert.equal(netns.run('nft', '-n', 'list', 'map', 'inet', 'example', 'any').match(/ : /g)!.length, 2001)
  })

  test('foreign tables and chains are listed, whoever made them', async () => {
    netns.run('nft', 'add table ip foreign; add chain ip foreign FORWARD { type filter hook forward priority 0; policy drop; }')
    netns.run('nft', 'add chain ip foreign helper; add table bridge other')
    assert.deepEqual(await nftables.tables(), [
      { family: 'ip', name: 'foreign' },
      { family: 'bridge', name: 'other' }
    ])
    const foreign: Table = { family: 'ip', name: 'foreign' }
    assert.deepEqual(await nftables.chains(), [
      { table: foreign, name: 'FORWARD', base: { hook: 'forward', priority: 0, policy: 'drop', type: 'filter' } },
      { table: foreign, name: 'helper' }
    ])
  })
})

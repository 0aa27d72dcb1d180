/** Linux's rules of ipvlan, each by its name in src/elements/ipvlan/README.md. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ipvlanType } from '../../../src/elements/ipvlan/ipvlan.ts'
import { IPVLAN_FLAGS, IPVLAN_MODES, type IpvlanFlag, type IpvlanMode } from '../../../src/elements/ipvlan/ipvlan-options.ts'
import type { ElementType } from '../../../src/engine/element.ts'
import { FrameFlag } from '../../../src/engine/frame-pool.ts'
import { parseIpv4, parseIpv6, parseMac } from '../../../src/wire/address.ts'
import { station } from '../bridge-domain.ts'
import { ChildrenBench } from '../children-bench.ts'

const BROADCAST = 'ff:ff:ff:ff:ff:ff'
const PARENT = station(0xaa)
const OUTSIDE = station(0x60)
const [WIRE, STACK] = [0, 1]
/** Child at port N has 192.0.2.N and 2001:db8::N. */
const CHILDREN = Object.fromEntries([2, 3, 4].map((port) => [port, [ip(port), ip6(port)]]))

function ip(number: number): string {
  return `192.0.2.${number}`
}

function ip6(number: number): string {
  return `2001:db8::${number}`
}

function bytesOf(address: string): number[] {
  if (address.includes(':')) return [...parseIpv6(address)]
  const value = parseIpv4(address)
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]
}

function macBytes(text: string): number[] {
  const { hi, lo } = parseMac(text)
  return [hi >>> 8, hi & 255, lo >>> 24, (lo >>> 16) & 255, (lo >>> 8) & 255, lo & 255]
}

function ethernet(destination: string, source: string, type: number, payload: readonly number[]): Uint8Array {
  return Uint8Array.from([...macBytes(destination), ...macBytes(source), type >>> 8, type & 255, ...payload])
}

interface Macs {
  /** Default: the parent's, as of all children. */
  readonly to?: string
  readonly from?: string
}

/** An IPv4 or IPv6 packet of protocol 253 (RFC 3692: experiments). */
function packet(source: string, destination: string, { to = PARENT, from = PARENT }: Macs = {}, payload = 8): Uint8Array {
  const body = new Array<number>(payload).fill(0xa5)
  const ends = [...bytesOf(source), ...bytesOf(destination)]
  if (source.includes(':')) return ethernet(to, from, 0x86dd, [0x60, 0, 0, 0, payload >>> 8, payload & 255, 253, 64, ...ends, ...body])
  const total = 20 + payload
  return ethernet(to, from, 0x0800, [0x45, 0, total >>> 8, total & 255, 0, 0, 0, 0, 64, 253, 0, 0, ...ends, ...body])
}

function arp(sender: string, target: string, { to = BROADCAST, from = PARENT }: Macs = {}): Uint8Array {
  const body = [0, 1, 8, 0, 6, 4, 0, 1, ...macBytes(from), ...bytesOf(sender), 0, 0, 0, 0, 0, 0, ...bytesOf(target)]
  return ethernet(to, from, 0x0806, body)
}

function solicitation(source: string, target: string, { to = '33:33:ff:00:00:01', from = PARENT }: Macs = {}): Uint8Array {
  const message = [135, 0, 0, 0, 0, 0, 0, 0, ...bytesOf(target)]
  const ends = [...bytesOf(source), ...bytesOf('ff02::1:ff00:1')]
  return ethernet(to, from, 0x86dd, [0x60, 0, 0, 0, 0, message.length, 58, 255, ...ends, ...message])
}

interface More {
  readonly ports?: number[]
  readonly mtu?: number
}

function ipvlan(mode: IpvlanMode, flag: IpvlanFlag = 'bridge', { ports, mtu }: More = {}): ChildrenBench {
  const options = { mode, flag, mac: PARENT, mtu }
  return new ChildrenBench({ type: ipvlanType as ElementType<never>, options, ports, children: CHILDREN })
}

function rule(name: string, modes: readonly IpvlanMode[], flags: readonly IpvlanFlag[], body: (parent: ChildrenBench) => void): void {
  for (const mode of modes) {
    for (const flag of flags) {
      test(`${name} (${mode}, ${flag})`, () => {
        const parent = ipvlan(mode, flag)
        body(parent)
        parent.checkBooks()
      })
    }
  }
}

const L3: IpvlanMode[] = ['l3', 'l3s']

describe('from the wire', () => {
  rule('wire-address: the child whose address it is gets the packet', IPVLAN_MODES, IPVLAN_FLAGS, (parent) => {
    for (const port of [2, 3, 4]) {
      assert.deepEqual(parent.send(WIRE, packet('198.51.100.1', ip(port), { from: OUTSIDE })), [port])
      assert.deepEqual(parent.send(WIRE, packet('2001:db8:9::1', ip6(port), { from: OUTSIDE })), [port])
    }
  })

  rule("wire-other: what is for no child's address is the parent's own stack's", IPVLAN_MODES, IPVLAN_FLAGS, (parent) => {
    for (const destination of ['192.0.2.50', '2001:db8::50']) {
      const source = destination.includes(':') ? '2001:db8::60' : '192.0.2.60'
      assert.deepEqual(parent.send(WIRE, packet(source, destination, { from: OUTSIDE })), [STACK])
    }
    assert.deepEqual(parent.send(WIRE, ethernet(PARENT, OUTSIDE, 0x88b5, [1, 2, 3])), [STACK])
  })

  rule("wire-elsewhere: a frame to another station's MAC is no child's, whatever address it has", IPVLAN_MODES, IPVLAN_FLAGS, (parent) => {
    assert.deepEqual(parent.send(WIRE, packet('192.0.2.60', ip(3), { to: OUTSIDE, from: station(0x61) })), [STACK])
  })

  rule('wire-group: all children and the parent get what is for a group', ['l2'], IPVLAN_FLAGS, (parent) => {
    assert.deepEqual(parent.send(WIRE, arp('192.0.2.60', ip(3), { from: OUTSIDE })), [STACK, 2, 3, 4])
    assert.deepEqual(parent.send(WIRE, packet('192.0.2.60', '224.0.0.251', { to: '01:00:5e:00:00:fb', from: OUTSIDE })), [STACK, 2, 3, 4])
    assert.deepEqual(parent.send(WIRE, solicitation('2001:db8::60', ip6(3), { from: OUTSIDE })), [STACK, 2, 3, 4])
    assert.deepEqual(parent.send(WIRE, arp(ip(3), ip(3), { from: OUTSIDE })), [STACK, 2, 3, 4], 'a stranger with the address of a child')
  })

  rule("wire-group-back: what a child sent to a group and comes back is the parent's alone", ['l2'], IPVLAN_FLAGS, (parent) => {
    assert.deepEqual(parent.send(WIRE, arp(ip(3), '192.0.2.60')), [STACK])
    assert.deepEqual(parent.send(WIRE, packet(ip(3), '224.0.0.251', { to: '01:00:5e:00:00:fb' })), [STACK])
  })

  rule("wire-group-l3: a group is the parent's alone", L3, IPVLAN_FLAGS, (parent) => {
    assert.deepEqual(parent.send(WIRE, packet('192.0.2.60', '224.0.0.251', { to: '01:00:5e:00:00:fb', from: OUTSIDE })), [STACK])
    assert.deepEqual(parent.send(WIRE, arp('192.0.2.60', '192.0.2.50', { from: OUTSIDE })), [STACK])
  })

  rule('wire-arp: an ARP answer is for the child that has its target address', ['l2'], IPVLAN_FLAGS, (parent) => {
    assert.deepEqual(parent.send(WIRE, arp('192.0.2.60', ip(3), { to: PARENT, from: OUTSIDE })), [3])
    assert.deepEqual(parent.send(WIRE, arp('192.0.2.60', '192.0.2.50', { to: PARENT, from: OUTSIDE })), [STACK])
  })

  rule("wire-arp-l3s: in l3s ARP is the parent's: only IP goes by its routing", ['l3s'], IPVLAN_FLAGS, (parent) => {
    assert.deepEqual(parent.send(WIRE, arp('192.0.2.60', ip(3), { to: PARENT, from: OUTSIDE })), [STACK])
    assert.deepEqual(parent.send(WIRE, arp('192.0.2.60', ip(3), { from: OUTSIDE })), [STACK])
  })

  rule('wire-solicitation: a unicast neighbor solicitation is for the child that has its target', ['l2'], IPVLAN_FLAGS, (parent) => {
    assert.deepEqual(parent.send(WIRE, solicitation('2001:db8::60', ip6(4), { to: PARENT, from: OUTSIDE })), [4])
  })
})

describe('from a child in l2', () => {
  rule('child-address: another child gets what is for its address and the common MAC', ['l2'], ['bridge'], (parent) => {
    assert.deepEqual(parent.send(2, packet(ip(2), ip(4))), [4])
    assert.deepEqual(parent.send(2, packet(ip6(2), ip6(3))), [3])
    assert.deepEqual(parent.send(2, arp(ip(2), ip(3), { to: PARENT })), [3], 'an ARP answer')
  })

  rule('child-private: between children nothing passes', ['l2', 'l3', 'l3s'], ['private'], (parent) => {
    assert.deepEqual(parent.send(2, packet(ip(2), ip(4))), [])
    assert.deepEqual(parent.send(2, packet(ip6(2), ip6(4))), [])
    assert.equal(parent.drops('ipvlan.isPrivate'), 2)
  })

  rule('child-vepa: what is for another child leaves by the wire', ['l2'], ['vepa'], (parent) => {
    assert.deepEqual(parent.send(2, packet(ip(2), ip(4))), [WIRE])
    assert.deepEqual(parent.send(2, packet(ip(2), '192.0.2.50')), [WIRE])
  })

  rule("child-parent: the common MAC and no child's address is the parent's own stack's", ['l2'], ['bridge', 'private'], (parent) => {
    assert.deepEqual(parent.send(2, packet(ip(2), '192.0.2.50')), [STACK])
  })

  rule('child-other: other MACs are on the wire', ['l2'], IPVLAN_FLAGS, (parent) => {
    assert.deepEqual(parent.send(2, packet(ip(2), '192.0.2.60', { to: OUTSIDE })), [WIRE])
    assert.deepEqual(parent.send(2, packet(ip(2), ip(3), { to: OUTSIDE })), [WIRE], 'the MAC decides')
  })

  rule('child-group: the other children and the wire get what is for a group, whatever the flag', ['l2'], IPVLAN_FLAGS, (parent) => {
    assert.deepEqual(parent.send(3, arp(ip(3), '192.0.2.60')), [WIRE, 2, 4])
    assert.deepEqual(parent.send(3, packet(ip(3), '224.0.0.251', { to: '01:00:5e:00:00:fb' })), [WIRE, 2, 4])
  })
})

describe('from a child in l3 and l3s', () => {
  rule('child-address-l3: another child gets what is for its address, whatever the MAC', L3, ['bridge'], (parent) => {
    assert.deepEqual(parent.send(2, packet(ip(2), ip(4))), [4])
    assert.deepEqual(parent.send(2, packet(ip6(2), ip6(4), { to: OUTSIDE })), [4])
  })

  rule('child-out-l3: everything else the parent routes, as no frame of its own', L3, IPVLAN_FLAGS, (parent) => {
    for (const sent of [packet(ip(2), '198.51.100.1'), packet(ip6(2), '2001:db8:9::1')]) {
      const [[port, [{ bytes }]]] = parent.deliver(2, sent)
      assert.equal(port, STACK)
      assert.deepEqual([bytes.subarray(0, 6), bytes.subarray(12)], [sent.subarray(0, 6), sent.subarray(12)])
      assert.notDeepEqual(bytes.subarray(6, 12), sent.subarray(6, 12))
    }
  })

  rule('child-vepa-l3: what is for another child too', L3, ['vepa'], (parent) => {
    assert.deepEqual([...parent.deliver(2, packet(ip(2), ip(4))).keys()], [STACK])
  })

  rule('child-group-l3: there is no broadcast and no multicast', L3, IPVLAN_FLAGS, (parent) => {
    assert.deepEqual(parent.send(2, packet(ip(2), '224.0.0.251', { to: '01:00:5e:00:00:fb' })), [])
    assert.deepEqual(parent.send(2, packet(ip(2), '255.255.255.255', { to: BROADCAST })), [])
    assert.equal(parent.drops('ipvlan.group'), 2)
  })

  rule('child-arp-l3: there is no ARP, nor anything else but IP', L3, IPVLAN_FLAGS, (parent) => {
    assert.deepEqual(parent.send(2, arp(ip(2), '192.0.2.60')), [])
    assert.equal(parent.drops('ipvlan.group'), 1)
    assert.deepEqual(parent.send(2, arp(ip(2), '192.0.2.60', { to: OUTSIDE })), [])
    assert.deepEqual(parent.send(2, ethernet(PARENT, PARENT, 0x88b5, [1, 2, 3])), [])
    assert.equal(parent.drops('ipvlan.notIp'), 2)
  })
})

rule("parent-out: what the parent's stack sends leaves by the wire", IPVLAN_MODES, IPVLAN_FLAGS, (parent) => {
  assert.deepEqual(parent.send(STACK, packet('192.0.2.50', ip(3), { to: OUTSIDE })), [WIRE])
  assert.deepEqual(parent.send(STACK, arp('192.0.2.50', ip(3))), [WIRE])
})

rule('header-broken: a packet whose header does not fit the frame has no address', ['l2'], ['bridge'], (parent) => {
  const whole = packet(ip(2), ip(3))
  for (let length = 14; length < whole.length; length++) assert.deepEqual(parent.send(2, whole.subarray(0, length)), [STACK], `${length}`)
  const cases: [number, number][] = [
    [14, 0x44],
    [14, 0x55],
    [14, 0x4f],
    [17, 19],
    [16, 0x10]
  ]
  for (const [at, value] of cases) assert.deepEqual(parent.send(2, whole.with(at, value)), [STACK], `byte ${at} is ${value}`)
  const whole6 = packet(ip6(2), ip6(3))
  for (let length = 14; length < 54; length++) assert.deepEqual(parent.send(2, whole6.subarray(0, length)), [STACK])
  assert.deepEqual(parent.send(2, whole6.with(14, 0x45)), [STACK])
  for (let length = 14; length < 42; length++)
    assert.deepEqual(parent.send(2, arp(ip(2), ip(3), { to: PARENT }).subarray(0, length)), [STACK])
})

rule('tagged: a tagged packet has no address', ['l2'], ['bridge'], (parent) => {
  const inner = packet(ip(2), ip(3))
  const tagged = Uint8Array.from([...inner.subarray(0, 12), 0x81, 0, 0, 30, ...inner.subarray(12)])
  assert.deepEqual(parent.send(2, tagged), [STACK])
})

rule('runt: a frame without a whole header ends here', IPVLAN_MODES, ['bridge'], (parent) => {
  for (let length = 0; length < 14; length++) for (const port of [0, 1, 2]) assert.deepEqual(parent.send(port, new Uint8Array(length)), [])
  assert.equal(parent.drops('ipvlan.runt'), 42)
})

test('options: a header with options is a header', () => {
  const parent = ipvlan('l2')
  const inner = packet(ip(2), ip(3), {}, 12)
  const long = Uint8Array.from([...inner.subarray(0, 34), 1, 1, 1, 1, ...inner.subarray(34)])
    .with(14, 0x46)
    .with(17, 36)
  assert.deepEqual(parent.send(2, long), [3])
})

test('child-mtu: between children no plain packet is longer than the parent allows; super-frames pass', () => {
  const parent = ipvlan('l2', 'bridge', { mtu: 1000 })
  assert.deepEqual(parent.send(2, packet(ip(2), ip(3), {}, 984)), [3])
  assert.deepEqual(parent.send(2, packet(ip(2), ip(3), {}, 985)), [])
  assert.equal(parent.drops('ipvlan.oversize'), 1)
  const fields = { flags: FrameFlag.gso | FrameFlag.csum, gsoType: 1, gsoSize: 900, hdrLen: 54, csumStart: 34, csumOffset: 16 }
  assert.deepEqual(parent.send(2, packet(ip(2), ip(3), {}, 30_000), fields), [3])
  assert.deepEqual(parent.send(WIRE, packet('192.0.2.60', ip(3), { from: OUTSIDE }, 1400)), [3], 'what the wire brought has passed already')
  parent.checkBooks()
})

describe('without a parent', () => {
  test('internal: children reach each other, and nothing leaves', () => {
    for (const mode of IPVLAN_MODES) {
      const parent = ipvlan(mode, 'bridge', { ports: [2, 3, 4] })
      assert.deepEqual(parent.send(2, packet(ip(2), ip(3))), [3])
      assert.deepEqual(parent.send(2, packet(ip(2), '198.51.100.1', { to: mode === 'l2' ? OUTSIDE : PARENT })), [])
      assert.equal(parent.drops(mode === 'l2' ? 'ipvlan.noWire' : 'ipvlan.noRoute'), 1)
      parent.checkBooks()
    }
    const parent = ipvlan('l2', 'bridge', { ports: [2, 3, 4] })
    assert.deepEqual(parent.send(2, arp(ip(2), ip(3))), [3, 4])
  })
})

describe('addresses', () => {
  test('address-busy: no address twice', () => {
    const parent = ipvlan('l2', 'bridge', { ports: [0, 1, 2, 3, 4, 5] })
    assert.throws(() => parent.update({ children: { 5: [ip(3)] } }), /port 3 has the address 192\.0\.2\.3/)
    assert.throws(() => parent.update({ children: { 5: [ip6(3)] } }), /port 3 has the address 2001:db8::3/)
    assert.throws(() => parent.update({ children: { 5: ['nonsense'] } }), /'nonsense' is no address/)
    parent.update({ children: { 5: [ip(3)], 3: [ip(5)] } })
    assert.deepEqual(parent.send(2, packet(ip(2), ip(3))), [5])
    assert.deepEqual(parent.send(2, packet(ip(2), ip(5))), [3])
    parent.update({ children: { 3: null } })
    assert.deepEqual(parent.send(2, packet(ip(2), ip(5))), [STACK])
  })

  test('a thousand children are told apart', () => {
    const parent = ipvlan('l2')
    const more = Object.fromEntries(
      Array.from({ length: 1000 }, (_, i) => [i + 10, [`10.0.${i >> 8}.${i & 255}`, `fd00::${i.toString(16)}`]])
    )
    parent.update({ children: { ...more, 3: ['10.9.9.9', 'fd01::9'] } })
    assert.deepEqual(parent.send(2, packet(ip(2), '10.9.9.9')), [3])
    assert.deepEqual(parent.send(2, packet(ip6(2), 'fd01::9')), [3])
    assert.deepEqual(parent.send(2, packet(ip(2), '10.0.4.0')), [STACK])
    assert.deepEqual(parent.send(2, packet(ip(2), '10.0.3.1')), [])
    assert.equal(parent.drops('engine.unlinked'), 1, 'a child whose port is not connected')
  })

  test('bad options are named', () => {
    assert.throws(() => ipvlan('l4' as IpvlanMode), /mode is 'l4'/)
    assert.throws(() => ipvlan('l2', 'bridged' as IpvlanFlag), /flag is 'bridged'/)
  })
})

/** The fast way and the slow one decide alike: the same frames in a batch and one by one. */
test('frames in batches go where they go one by one, in order', () => {
  let seed = 7
  const next = (below: number): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 1) % below
  const frame = (): Uint8Array => {
    const [from, to] = [next(7), next(7)]
    const macs = { to: [PARENT, PARENT, PARENT, OUTSIDE, BROADCAST][next(5)], from: [PARENT, OUTSIDE][next(2)] }
    const made = [packet(ip(from), ip(to), macs, next(40)), packet(ip6(from), ip6(to), macs), arp(ip(from), ip(to), macs)][next(3)]
    return next(8) === 0 ? made.subarray(0, next(made.length)) : made
  }
  const frames = Array.from({ length: 800 }, () => [next(5), frame()] as const)
  for (const mode of IPVLAN_MODES) {
    for (const flag of IPVLAN_FLAGS) {
      const [single, batched] = [ipvlan(mode, flag), ipvlan(mode, flag)]
      const expected = new Map<number, Uint8Array[]>()
      for (let port = 0; port < 5; port++) {
        const own = frames.filter(([from]) => from === port)
        for (const [, bytes] of own) {
          for (const [to, got] of single.deliver(port, bytes))
            expected.set(to, [...(expected.get(to) ?? []), ...got.map((each) => each.bytes)])
        }
        for (const [, bytes] of own) batched.bench.port(`p${port}`).send(bytes)
        batched.bench.run()
      }
      assert.ok(expected.size >= 3)
      for (const [to, bytes] of expected) assert.deepEqual(batched.bench.port(`p${to}`).take(), bytes, `${mode} ${flag}, port ${to}`)
    }
  }
})

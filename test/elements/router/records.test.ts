/** What a router is told: updates, their undoing, what they refuse; commands; router advertisements. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Explanation } from '../../../src/elements/router/explain.ts'
import { type RouterChange, RouterOptionsError } from '../../../src/elements/router/router-options.ts'
import type { RouteEntry } from '../../../src/elements/router/routing.ts'
import { ECHO, INTERFACES, ROUTER_MACS, RouterLab, station, udp } from './router-lab.ts'

const A7 = '192.0.2.7'
const B9 = '198.51.100.9'

function met(options: ConstructorParameters<typeof RouterLab>[0] = {}): RouterLab {
  const lab = new RouterLab(options)
  lab.meet()
  return lab
}

const routesOf = (lab: RouterLab): string[] =>
  lab
    .command<RouteEntry[]>('routes')
    .map(({ prefix, kind, via, interface: number, active }) => `${prefix} ${kind} ${via ?? '-'} ${number}${active ? '' : ' off'}`)

describe('updates', () => {
  test('each refusal names field and value, and nothing has changed', () => {
    const lab = met()
    const before = routesOf(lab)
    const bad: [RouterChange, RegExp][] = [
      [{ interfaces: { 4: null, x: null } }, /interfaces "x"/],
      [{ interfaces: { 99999: null } }, /interfaces "99999"/],
      [{ interfaces: { 0: null, 3: { ...INTERFACES[0], mac: 'x' } } }, /interfaces\.3\.mac "x"/],
      [{ interfaces: { 3: { ...INTERFACES[0], mac: '03:00:00:00:00:01' } } }, /a group/],
      [{ interfaces: { 3: { ...INTERFACES[0], addresses: ['192.0.2.1'] } } }, /interfaces\.3\.addresses "192\.0\.2\.1"/],
      [{ interfaces: { 3: { ...INTERFACES[0], mtu: 67 } } }, /interfaces\.3\.mtu 67/],
      [{ routes: { 'x/8': null } }, /routes "x\/8"/],
      [{ routes: { '10.0.0.0/8': { interface: -1 } } }, /interface -1/],
      [{ routes: { '10.0.0.0/8': { interface: 1, via: 'fe80::1' } } }, /no IPv4 address/],
      [{ interfaces: { 0: null }, bindings: { '192.0.2.9': 'zz' } }, /bindings\.192\.0\.2\.9 "zz"/]
    ]
    for (const [change, message] of bad) {
      assert.throws(
        () => lab.update(change),
        (error: Error) => error instanceof RouterOptionsError && message.test(error.message),
        `${message}`
      )
    }
    assert.deepEqual(routesOf(lab), before)
    lab.ends()
  })
  test('an update is undone whole when one after it is refused', () => {
    const lab = met({ bindings: { [B9]: station(1, 9) } })
    const before = routesOf(lab)
    const change: RouterChange = {
      interfaces: { 0: null, 1: { ...INTERFACES[1], addresses: ['10.0.0.1/8'] }, 5: { ...INTERFACES[0], addresses: ['172.16.0.1/16'] } },
      routes: { '0.0.0.0/0': null, '10.1.0.0/16': { via: '10.0.0.9', interface: 1 }, '::/0': { via: '2001:db8:b::9', interface: 1 } },
      bindings: { [B9]: null, '10.0.0.9': station(1, 9) }
    }
    assert.throws(() => lab.update(change, { routes: { bad: null } }), RouterOptionsError)
    assert.deepEqual(routesOf(lab), before)
    lab.arp(1, 1, '02:cc:00:00:66:66', B9, '198.51.100.1')
    assert.equal(lab.drops['router.neighborConflict'], 1, 'the binding is there again')
    lab.meet()
    lab.send(0, 7, A7, B9, udp())
    assert.equal(lab.take(1).length, 1)
    lab.ends()
  })
  test('another MTU keeps what is known of the neighbors, other addresses do not', () => {
    const lab = met()
    lab.update({ interfaces: { 1: { ...INTERFACES[1], mtu: 1000 } } })
    lab.send(0, 7, A7, B9, udp(5000, 1200), { dontFragment: true })
    assert.match(lab.take(0)[0], /unreachable 4 \(1000\)/)
    lab.send(0, 7, A7, B9, udp())
    assert.match(lab.take(1)[0], /udp 4000/)
    lab.update({ interfaces: { 1: { ...INTERFACES[1], addresses: ['198.51.100.2/24'] } } })
    lab.send(0, 7, A7, B9, udp())
    assert.match(lab.take(1)[0], /who has 198\.51\.100\.9\? tell 198\.51\.100\.2/)
    lab.ends()
  })
  test('an interface that goes takes its waiting frames with it', () => {
    const lab = met()
    lab.send(0, 7, A7, '198.51.100.77', udp())
    lab.update({ interfaces: { 1: null } })
    assert.deepEqual(lab.drops, { 'router.interfaceGone': 1 })
    lab.send(1, 9, B9, A7, udp())
    assert.deepEqual(lab.drops, { 'router.interfaceGone': 1, 'router.noInterface': 1 })
    lab.run(10)
    lab.ends()
  })
  test('routes: what was given stands before what is connected; of two connected the lower number', () => {
    const lab = new RouterLab({
      interfaces: {
        0: { ...INTERFACES[0], addresses: ['10.0.0.1/8'] },
        1: { ...INTERFACES[1], addresses: ['10.0.0.2/8', '10.255.0.1/30'] }
      },
      routes: {}
    })
    assert.deepEqual(routesOf(lab), [
      '10.0.0.1/32 local - 0',
      '10.255.255.255/32 broadcast - 0',
      '10.0.0.2/32 local - 1',
      '10.255.255.255/32 broadcast - 1',
      '10.255.0.1/32 local - 1',
      '10.255.0.3/32 broadcast - 1',
      '10.255.0.0/30 connected - 1',
      '10.0.0.0/8 connected - 0',
      '10.0.0.0/8 connected - 1 off'
    ])
    lab.update({ interfaces: { 0: null } })
    lab.update({ routes: { '10.0.0.0/8': { interface: 2 } } })
    assert.deepEqual(routesOf(lab).slice(-2), ['10.0.0.0/8 static - 2 off', '10.0.0.0/8 connected - 1'])
    lab.update({ interfaces: { 2: { ...INTERFACES[2], addresses: ['203.0.113.1/24'] } } })
    assert.deepEqual(routesOf(lab).slice(-2), ['10.0.0.0/8 static - 2', '10.0.0.0/8 connected - 1 off'])
    lab.ends()
  })
  test('an address that two interfaces have stays when one of them goes', () => {
    const lab = new RouterLab({ interfaces: { 0: INTERFACES[0], 1: { ...INTERFACES[1], addresses: ['192.0.2.1/24'] } } })
    lab.update({ interfaces: { 0: null } })
    lab.arp(1, 1, station(1, 7), A7, '192.0.2.1')
    lab.take(1)
    lab.send(1, 7, A7, '192.0.2.1', ECHO)
    assert.match(lab.take(1)[0], /echo-reply/)
    lab.ends()
  })
  test('a thousand interfaces come and go', () => {
    const lab = new RouterLab({ interfaces: {}, routes: {} })
    for (let i = 0; i < 1000; i++) {
      const addresses = [`10.${i >> 8}.${i & 255}.1/24`, `2001:db8:${(i + 1).toString(16)}::1/64`]
      lab.update({
        interfaces: { [i]: { ...INTERFACES[0], name: `n${i}`, addresses } },
        bindings: { [`10.${i >> 8}.${i & 255}.2`]: station(0, 7) }
      })
    }
    assert.equal(routesOf(lab).length, 5000)
    for (let i = 0; i < 1000; i++) lab.update({ interfaces: { [i]: null }, bindings: { [`10.${i >> 8}.${i & 255}.2`]: null } })
    assert.deepEqual(routesOf(lab), [])
    lab.ends()
  })
})

describe('explain', () => {
  const asked = (lab: RouterLab, packet: object, ingress = 0): Explanation => lab.command('explain', { ingress, packet })
  test('says what would happen, and changes nothing', () => {
    const lab = met()
    const state = (): unknown => [lab.counters, lab.drops, lab.command('neighbors'), lab.command('stats'), lab.net.engine.nextDeadline]
    const before = state()
    const to = (destination: string, more = {}): Explanation => asked(lab, { source: A7, destination, ...more })
    const brief = ({ verdict, reason, egress, ttl, fragments, mac }: Explanation): unknown[] => [
      verdict,
      reason,
      egress,
      ttl,
      fragments,
      mac
    ]
    assert.deepEqual(brief(to(B9)), ['forward', null, 1, 63, 1, station(1, 9)])
    assert.deepEqual(brief(to('198.51.100.77')), ['resolve', null, 1, 63, 1, null])
    assert.deepEqual(brief(to('192.0.2.1')), ['local', null, null, 64, 1, null])
    assert.deepEqual(brief(to('198.51.100.255')), ['drop', 'router.broadcast', null, 64, 1, null])
    assert.deepEqual(brief(to('224.0.0.1')), ['drop', 'router.group', null, 64, 1, null])
    assert.deepEqual(brief(to('127.0.0.1')), ['drop', 'router.martianDestination', null, 64, 1, null])
    assert.deepEqual(brief(to(B9, { ttl: 1 })), ['drop', 'router.ttlExpired', 1, 1, 1, null])
    assert.deepEqual(brief(to('198.18.0.1', { length: 1500 })), ['drop', 'router.tooBig', 2, 64, 1, null])
    assert.deepEqual(brief(to('198.18.0.1', { length: 1500, dontFragment: false })), ['forward', null, 2, 63, 2, station(2, 254)])
    assert.deepEqual(brief(asked(lab, { source: '2001:db8:a::7', destination: '2001:db8:ff::1' })), [
      'forward',
      null,
      2,
      63,
      1,
      station(2, 254)
    ])
    assert.deepEqual(brief(asked(lab, { source: '192.0.2.1', destination: B9 })), ['drop', 'router.martianSource', null, 64, 1, null])
    assert.deepEqual(brief(asked(lab, { source: A7, destination: B9 }, 9)), ['drop', 'router.noInterface', null, 64, 1, null])
    assert.deepEqual(to('198.18.0.1').steps, [
      'comes in by a',
      'route 0.0.0.0/0 by up, next hop 203.0.113.254',
      `leaves by up to ${station(2, 254)}`
    ])
    assert.deepEqual(state(), before)
    lab.ends()
  })
  test('refuses what is no packet', () => {
    const lab = met()
    assert.throws(() => lab.command('explain', undefined), RouterOptionsError)
    assert.throws(() => asked(lab, { source: A7, destination: '::1' }), RouterOptionsError)
    assert.throws(() => lab.command('nonsense'), /routes, neighbors, explain and stats/)
    lab.ends()
  })
})

describe('router advertisements', () => {
  const ADVERTISED = { ...INTERFACES, 0: { ...INTERFACES[0], advertise: true } }
  const RA = (lifetime: number, mtu = 1500): string =>
    `${ROUTER_MACS[0]} > 33:33:00:00:00:01: fe80::cc:ff:fe00:a > ff02::1 hops 255 router-advertisement lifetime ${lifetime} mtu ${mtu} ${ROUTER_MACS[0]} 2001:db8:a::/64`
  test('three at the start, 16 s apart, then every 200 to 600 s', () => {
    const lab = new RouterLab({ interfaces: ADVERTISED })
    lab.run(33)
    assert.deepEqual(lab.take(0), Array(3).fill(RA(1800)))
    lab.run(3600)
    const later = lab.take(0).length
    assert.ok(later >= 6 && later <= 18, `${later} in an hour`)
    lab.ends()
  })
  test('a question is answered to all, within half a second, and not more often than every 3 s', () => {
    const lab = new RouterLab({ interfaces: ADVERTISED })
    lab.run(100)
    lab.take(0)
    const ask = (): void => lab.nd(0, station(0, 7), 'fe80::7', 'ff02::2', { kind: 'router-solicitation', linkLayer: station(0, 7) })
    for (let i = 0; i < 5; i++) ask()
    lab.run(0.5)
    assert.deepEqual(lab.take(0), [RA(1800)])
    ask()
    lab.run(2.4)
    assert.deepEqual(lab.take(0), [])
    lab.run(0.7)
    assert.deepEqual(lab.take(0), [RA(1800)])
    assert.ok(lab.neighbors.includes('fe80::7 stale'))
    lab.ends()
  })
  test('the last one says that nobody is here any more', () => {
    const lab = new RouterLab({ interfaces: ADVERTISED })
    lab.run(1)
    lab.take(0)
    lab.update({ interfaces: { 0: { ...ADVERTISED[0], mtu: 1400 } } })
    lab.run(1)
    assert.deepEqual(lab.take(0), [RA(1800, 1400)])
    lab.update({ interfaces: { 0: INTERFACES[0] } })
    lab.run(1)
    assert.deepEqual(lab.take(0), [RA(0, 1400)])
    lab.run(1000)
    assert.deepEqual(lab.take(0), [])
    lab.ends()
  })
  test('off by default: questions are heard in silence', () => {
    const lab = new RouterLab()
    lab.nd(0, station(0, 7), 'fe80::7', 'ff02::2', { kind: 'router-solicitation', linkLayer: null })
    lab.run(10)
    assert.deepEqual(lab.take(0), [])
    assert.deepEqual(lab.drops, {})
    lab.ends()
  })
})

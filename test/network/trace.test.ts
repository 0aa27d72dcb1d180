/** Walks of frames through a whole engine: networks, the gateway and the uplink's world. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { compileFilter } from '../../src/capture/filter/compile-filter.ts'
import { Random } from '../../src/engine/index.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { elementRegistry } from '../../src/network/element-registry.ts'
import { type Endpoint, endpointAddresses } from '../../src/network/endpoint.ts'
import { InlineEngine } from '../../src/network/inline-engine.ts'
import { LinkControl } from '../../src/network/link-control.ts'
import { NetworkError } from '../../src/network/network-error.ts'
import { type RunningTrace, TRACE_COUNT_MAX, TraceControl, type TraceWish } from '../../src/network/trace-control.ts'
import type { FrameWalk } from '../../src/network/trace-walk.ts'
import { OverlayHosts } from './overlay-hosts.ts'
import { VirtualUplink, WORLD_ADDRESS } from './virtual-uplink.ts'

const GATEWAY_MAC = '02:42:0a:2c:00:01'

let engine: InlineEngine
let controller: NetworkController
let traces: TraceControl

beforeEach(async () => {
  engine = new InlineEngine({ elements: elementRegistry(), seed: 1 })
  const uplink = new VirtualUplink({ udpEcho: [7] })
  controller = new NetworkController({ engine, addresses: new AddressSpace(), random: new Random('ids'), uplink, log: () => {} })
  traces = new TraceControl(controller)
  await controller.createNetwork({ name: 'front', subnet: '10.44.0.0/24' })
})

function host(name: string): Promise<Endpoint> {
  return controller.connect('front', { name }, (begun, { pool }) => ({
    type: 'host',
    options: { mac: begun.mac, addresses: endpointAddresses(begun), gateway: pool.gateway ?? undefined, udpEcho: [7] }
  }))
}

function ping(element: string, address: string): Promise<unknown> {
  return engine.settle(engine.command(element, 'ping', { address, timeoutMs: 500 }))
}

/** The walks of what is followed while something happens and for a second after it. */
async function walksOf(wish: TraceWish, happens: () => Promise<unknown>): Promise<FrameWalk[]> {
  const trace = await traces.open({ timeoutSeconds: 1, ...wish })
  await happens()
  return engine.settle(collect(trace))
}

async function collect(trace: RunningTrace, signal?: AbortSignal): Promise<FrameWalk[]> {
  const walks: FrameWalk[] = []
  for await (const walk of trace.frames(signal)) walks.push(walk)
  return walks
}

const isNetworkError = (code: string) => (error: unknown) => error instanceof NetworkError && error.code === code

const lines = ({ steps }: FrameWalk): string[] => steps.map(({ element, text }) => `${element}: ${text}`)

describe('walks', () => {
  test('out through NAT and back, addresses old and new', async () => {
    const web = await host('web')
    await ping(web.element, WORLD_ADDRESS)
    const [out, back, ...more] = await walksOf({ count: 2, filter: compileFilter('icmp') }, () => ping(web.element, WORLD_ADDRESS))
    assert.deepEqual(more, [])
    assert.match(out.frame, /^IP 10\.44\.0\.2 > 192\.0\.2\.60: ICMP echo request, id \d+, seq 1, length 64$/)
    assert.deepEqual(lines(out), [
      'front/web: enters',
      'front/web/dns-tap: to front/web/filter',
      'front/web/filter: to front/bridge',
      `front/bridge: forward ${GATEWAY_MAC}: port 1 to 0; to gateway/nat`,
      'gateway/nat: new flow; to gateway/router',
      'gateway/router: route 192.0.2.0/24 on the link: interface front to world; ' +
        `source MAC ${web.mac} -> 02:cc:00:00:00:50; destination MAC ${GATEWAY_MAC} -> 02:cc:00:00:00:60; TTL 64 -> 63; to gateway/nat`,
      'gateway/nat: flow opened from front to world; source 10.44.0.2 -> 192.0.2.50; to uplink/world',
      'uplink/world: delivered'
    ])
    assert.deepEqual(lines(back).slice(1, 4), [
      'gateway/nat: destination 192.0.2.50 -> 10.44.0.2; to gateway/router',
      'gateway/router: route 10.44.0.0/24 on the link: interface world to front; source MAC 02:cc:00:00:00:60 -> ' +
        `${GATEWAY_MAC}; destination MAC 02:cc:00:00:00:50 -> ${web.mac}; TTL 64 -> 63; to gateway/nat`,
      'gateway/nat: to front/bridge'
    ])
    assert.equal(back.steps[0].time, 0)
    assert.ok(back.packetId > out.packetId)
  })

  test('ports of UDP are translated in words too', async () => {
    const [web, db] = [await host('web'), await host('db')]
    // Both from the same port: the second one's is changed.
    for (const { element } of [web, db]) await engine.settle(engine.command(element, 'udpBind', { port: 5000 }))
    const send = async (): Promise<void> => {
      for (const { element } of [web, db]) {
        const data = Uint8Array.of(1)
        await engine.settle(engine.command(element, 'udpSend', { port: 5000, address: WORLD_ADDRESS, toPort: 7, data }))
      }
    }
    const walks = await walksOf({ count: 2, target: 'front', filter: compileFilter('udp dst port 7') }, send)
    // The first one had to wait for a neighbor.
    walks.sort((a, b) => a.packetId - b.packetId)
    const translated = walks.map((walk) => lines(walk).find((line) => line.includes('flow opened')) ?? '')
    assert.match(translated[0], /source 10\.44\.0\.2:5000 -> 192\.0\.2\.50:5000; to uplink/)
    assert.match(translated[1], /source 10\.44\.0\.3:5000 -> 192\.0\.2\.50:\d+; to uplink/)
    assert.doesNotMatch(translated[1], /192\.0\.2\.50:5000/)
  })

  test('a flood is learned from, and goes to all; who waits for a neighbor says so', async () => {
    const web = await host('web')
    await host('db')
    const walks = await walksOf({ count: 20 }, () => ping(web.element, WORLD_ADDRESS))
    const request = walks.find(({ frame }) => frame.includes('who-has 10.44.0.1'))!
    assert.ok(
      lines(request).includes(`front/bridge: learn ${web.mac} at port 1; flood from port 1: group; to gateway/nat, front/db/filter`),
      lines(request).join('\n')
    )
    assert.ok(lines(request).includes('front/db: delivered'))
    const echo = walks.find(({ frame }) => frame.includes('echo request'))!
    assert.ok(lines(echo).some((line) => line.startsWith('gateway/router: ') && line.includes('waits for the MAC of its next hop')))
  })

  test('a frame that waits for a neighbor in vain is waited for until it is dropped', async () => {
    const web = await host('web')
    const wish = { count: 1, filter: compileFilter('icmp'), timeoutSeconds: 10 }
    const [walk] = await walksOf(wish, () => ping(web.element, '192.0.2.77'))
    assert.match(lines(walk).at(-1)!, /^gateway\/router: .* dropped: router\.neighborUnresolved/)
  })

  test('a delayed frame is waited for; a lost one has its reason', async () => {
    const web = await host('web')
    const db = await host('db')
    await ping(web.element, db.address)
    const links = new LinkControl(controller)
    await links.setLink({ target: 'front/web', direction: 'out', words: ['delay', '300ms'] })
    const [slow] = await walksOf({ count: 1, target: 'front/web' }, () => ping(web.element, db.address))
    const delayed = slow.steps.findIndex(({ text }) => text === 'delayed by 300 ms')
    assert.equal(slow.steps[delayed].element, 'front/web/link')
    assert.deepEqual([slow.steps[delayed + 1].element, slow.steps[delayed + 1].time], ['front/bridge', 300e6])
    assert.equal(slow.steps.at(-1)!.element, 'front/db')

    await links.setLink({ target: 'front/web', direction: 'out', words: ['rate', '4kbit'] })
    const pings = () => Promise.all([1, 2].map(() => ping(web.element, db.address)))
    const [first, queued] = await walksOf({ count: 2, target: 'front/web' }, pings)
    assert.ok(lines(first).includes('front/web/link: takes 196 ms to be sent'), lines(first).join('\n'))
    assert.ok(
      lines(queued).some((line) => line.startsWith('front/web/link: waits for the rate, 0 before it')),
      lines(queued).join('\n')
    )
    for (const [walk, time] of [
      [first, 196e6],
      [queued, 392e6]
    ] as const) {
      const { element, time: at } = walk.steps.at(-1)!
      assert.deepEqual([element, at], ['front/db', time])
    }

    await links.setLink({ target: 'front/web', direction: 'out', words: ['loss', '100%'] })
    const [lost] = await walksOf({ count: 1, target: 'front/web' }, () => ping(web.element, db.address))
    assert.match(lines(lost).at(-1)!, /^front\/web\/link: dropped: netem\.loss \(.+\)$/)
  })
})

describe('what is followed', () => {
  test('only what enters at the target, and only what the filter takes', async () => {
    const [web, db] = [await host('web'), await host('db')]
    const wish = { count: 5, target: 'front/db', filter: compileFilter('icmp') }
    const walks = await walksOf(wish, () => ping(web.element, db.address))
    assert.deepEqual(
      walks.map(({ frame, steps }) => [frame.replace(/, id.*/, ''), steps[0].element]),
      [[`IP ${db.address} > ${web.address}: ICMP echo reply`, 'front/db']]
    )
    const byName = await walksOf({ ...wish, target: 'db' }, () => ping(web.element, db.address))
    assert.equal(byName.length, 1)
  })

  test('two traces at once have their own frames', async () => {
    const [web, db] = [await host('web'), await host('db')]
    await ping(web.element, db.address)
    const one = await traces.open({ count: 1, target: 'web', timeoutSeconds: 1 })
    const [other] = await walksOf({ count: 1, target: 'db' }, () => ping(web.element, db.address))
    const [first] = await engine.settle(collect(one))
    assert.match(first.frame, /echo request/)
    assert.match(other.frame, /echo reply/)
  })

  test('the end of the time gives what was seen', async () => {
    const [web, db] = [await host('web'), await host('db')]
    await ping(web.element, db.address)
    const walks = await walksOf({ count: 100, timeoutSeconds: 0.5 }, () => ping(web.element, db.address))
    assert.equal(walks.length, 2)
  })

  test('an abort gives what was seen, and ends the following', async () => {
    const [web, db] = [await host('web'), await host('db')]
    const trace = await traces.open({ count: 100 })
    await ping(web.element, db.address)
    const walks = await engine.settle(collect(trace, AbortSignal.abort()))
    assert.ok(walks.length >= 2)
    for (let i = 0; i < 40; i++) await engine.settle(collect(await traces.open({ count: 1 }), AbortSignal.abort()))
  })

  test('what cannot be is refused', async () => {
    for (const count of [0, -1, 1.5, Number.NaN, TRACE_COUNT_MAX + 1])
      await assert.rejects(traces.open({ count }), isNetworkError('invalid'))
    for (const timeoutSeconds of [0, -1, Number.NaN])
      await assert.rejects(traces.open({ count: 1, timeoutSeconds }), isNetworkError('invalid'))
    await assert.rejects(traces.open({ count: 1, target: 'nobody' }), isNetworkError('not-found'))
    const running = []
    for (let i = 0; i < 32; i++) running.push(await traces.open({ count: 1 }))
    await assert.rejects(traces.open({ count: 1 }), isNetworkError('conflict'))
    for (const trace of running) await engine.settle(collect(trace, AbortSignal.abort()))
    await engine.settle(collect(await traces.open({ count: 1 }), AbortSignal.abort()))
  })
})

test('through VXLAN from host to host a frame keeps its id', async () => {
  const hosts = new OverlayHosts()
  const [one, two] = [await hosts.host(1), await hosts.host(2)]
  one.driver.setVteps([two.address])
  two.driver.setVteps([one.address])
  const spec = { id: 'a'.repeat(64), name: 'net', driver: 'overlay', subnet: '10.0.9.0/24', mtu: 1450 }
  const plugged = []
  for (const [host, address] of [
    [one, '10.0.9.2'],
    [two, '10.0.9.3']
  ] as const) {
    host.driver.setVni(await host.controller.createNetwork(spec), address, 256)
    plugged.push(await host.plug(spec.id, { name: `c${plugged.length + 1}`, address }))
  }
  const [c1, c2] = plugged
  await one.controller.updateRemotes(spec.id, [{ ...c2, vtep: two.address }], [])
  await two.controller.updateRemotes(spec.id, [{ ...c1, vtep: one.address }], [])
  await one.ping(c1, c2.address)
  const trace = await new TraceControl(one.controller).open({ count: 1, target: 'net', timeoutSeconds: 1, filter: compileFilter('icmp') })
  await one.ping(c1, c2.address)
  const [walk, ...more] = await hosts.engine.settle(collect(trace))
  assert.deepEqual(more, [])
  const told = lines(walk)
  const wrapped = told.find((line) => line.startsWith('host1/overlay/vxlan: ')) ?? ''
  assert.match(
    wrapped,
    /encapsulate for 192\.0\.2\.2, VNI 256; now IP 192\.0\.2\.1\.\d+ > 192\.0\.2\.2\.4789: VXLAN, flags \[I\] \(0x08\), vni 256: IP 10\.0\.9\.2 > /
  )
  const unwrapped = told.find((line) => line.startsWith('host2/overlay/vxlan: ')) ?? ''
  assert.match(unwrapped, /decapsulate, VNI 256; now IP 10\.0\.9\.2 > 10\.0\.9\.3: ICMP echo request.* 148 -> 98 bytes; to /)
  assert.equal(told.at(-1), 'host2/net/c2: delivered')
})

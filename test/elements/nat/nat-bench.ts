/**
 * A NAT with a router behind it, and a port on each interface:
 *
 *   0  network a    192.0.2.0/25    2001:db8:a::/64   gateway .1    stations .2 and up
 *   1  network b    192.0.2.128/25  2001:db8:b::/64   gateway .129  stations .130 and up
 *   2  uplink       198.51.100.50   2001:db8:c::50    everything else
 *   3  network in   203.0.113.0/28  internal
 */
import assert from 'node:assert/strict'
import type { FlowEntry } from '../../../src/elements/nat/flow-list.ts'
import { natType } from '../../../src/elements/nat/nat.ts'
import type { InterfaceSpec, NatChange, NatOptions, PublishedPort } from '../../../src/elements/nat/nat-options.ts'
import type { ElementType } from '../../../src/engine/element.ts'
import { TestBench } from '../../engine/test-bench.ts'
import type { TestFrameFields } from '../../engine/test-elements.ts'
import { STATION_MAC, show } from './packets.ts'
import { type ToyRouter, toyRouters } from './toy-router.ts'

const network = { role: 'network', masquerade: true, internal: false, icc: true } as const
export const INTERFACES: Readonly<Record<string, InterfaceSpec>> = {
  0: { ...network, name: 'a', subnets: ['192.0.2.0/25', '2001:db8:a::/64'], gateway: '192.0.2.1', gateway6: '2001:db8:a::1' },
  1: { ...network, name: 'b', subnets: ['192.0.2.128/25', '2001:db8:b::/64'], gateway: '192.0.2.129', gateway6: '2001:db8:b::1' },
  2: {
    role: 'uplink',
    name: 'up',
    subnets: [],
    masquerade: false,
    internal: false,
    icc: true,
    snat: '198.51.100.50',
    snat6: '2001:db8:c::50'
  },
  3: { ...network, name: 'in', subnets: ['203.0.113.0/28'], gateway: '203.0.113.1', internal: true }
}

const ROUTES = [
  { prefix: '192.0.2.0/25', interface: 0 },
  { prefix: '192.0.2.128/25', interface: 1 },
  { prefix: '203.0.113.0/28', interface: 3 },
  { prefix: '0.0.0.0/0', interface: 2 },
  { prefix: '2001:db8:a::/64', interface: 0 },
  { prefix: '2001:db8:b::/64', interface: 1 },
  { prefix: '::/0', interface: 2 }
].map((route) => ({ ...route, mac: STATION_MAC }))
const ADDRESSES = ['192.0.2.1', '192.0.2.129', '198.51.100.50', '203.0.113.1', '2001:db8:a::1', '2001:db8:b::1', '2001:db8:c::50']

/** Published on any local address: 8080/tcp and 5353/udp, to a station of network a. */
export const WEB: PublishedPort = { protocol: 'tcp', address: null, port: 8080, target: '192.0.2.2', targetPort: 80, interface: 0 }
export const NAME: PublishedPort = { protocol: 'udp', address: null, port: 5353, target: '192.0.2.2', targetPort: 53, interface: 0 }
export const LOCAL = ['198.51.100.50', '192.0.2.1', '192.0.2.129', '2001:db8:c::50']

export class NatBench extends TestBench {
  private readonly made: ReturnType<typeof toyRouters>

  constructor(options: NatOptions = {}) {
    const made = toyRouters()
    super({ types: [natType as ElementType<never>, made.type as ElementType<never>] })
    this.made = made
    const numbers = Object.keys(INTERFACES).map(Number)
    const records = { interfaces: INTERFACES, published: { web: WEB, name: NAME }, local: LOCAL }
    this.configure(
      {
        nat: { type: 'nat', options: { capacity: 4096, ...records, ...options } },
        router: { type: 'toy-router', options: { routes: ROUTES, addresses: ADDRESSES } },
        ...Object.fromEntries(numbers.map((number) => [`p${number}`, { type: 'test-port' }]))
      },
      numbers.flatMap((number) => [
        { a: ['nat', 2 * number], b: [`p${number}`, 0] },
        { a: ['nat', 2 * number + 1], b: ['router', number] }
      ])
    )
  }

  get router(): ToyRouter {
    return this.made.routers[0]
  }

  /** What comes out of all ports when frames come in by interface `number`: `port: packet`, in the order of ports. */
  send(number: number, ...frames: Uint8Array[]): string[] {
    return this.sendRaw(number, ...frames).map(([port, bytes]) => `${port}: ${show(bytes)}`)
  }

  sendRaw(number: number, ...frames: Uint8Array[]): [port: number, bytes: Uint8Array][] {
    for (const frame of frames) this.port(`p${number}`).send(frame)
    return this.collect()
  }

  /** One frame with offload fields. */
  sendWith(number: number, frame: Uint8Array, fields: TestFrameFields): ReturnType<NatBench['collectWhole']> {
    this.port(`p${number}`).send(frame, fields)
    this.run()
    return this.collectWhole()
  }

  private collect(): [number, Uint8Array][] {
    this.run()
    return [0, 1, 2, 3].flatMap((port) =>
      this.port(`p${port}`)
        .take()
        .map((bytes): [number, Uint8Array] => [port, bytes])
    )
  }

  /** What arrived at all ports, with everything that is known of the frames. */
  collectWhole() {
    return [0, 1, 2, 3].flatMap((port) => {
      const { arrived } = this.port(`p${port}`)
      this.port(`p${port}`).arrived = []
      return arrived.map((frame) => ({ port, ...frame }))
    })
  }

  flows(filter: object = {}): FlowEntry[] {
    return this.command('nat', 'flows', { filter }) as FlowEntry[]
  }

  /** Updates the NAT. */
  change(change: NatChange): void {
    this.engine.patch({ updates: [{ element: 'nat', change }] })
  }

  /** Reasons of drops at the NAT since the last call. */
  drops(): Record<string, number> {
    const now = this.counters('nat').drops
    const since = Object.fromEntries(Object.entries(now).map(([name, count]) => [name, count - (this.dropsBefore[name] ?? 0)]))
    this.dropsBefore = now
    return Object.fromEntries(Object.entries(since).filter(([, count]) => count > 0))
  }

  private dropsBefore: Readonly<Record<string, number>> = {}

  /** Nothing is lost: every frame that came in went out, was dropped, joined, or is held. */
  checkBooks(): void {
    const { counters, drops } = this.counters('nat')
    const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0)
    assert.equal(this.engine.frames.inUse, (this.command('nat', 'stats') as { heldFragments: number }).heldFragments, 'frames in use')
    assert.ok(counters['rxFrames'] >= dropped)
  }
}

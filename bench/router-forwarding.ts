/**
 * One frame through a router with production classes: link, router, link, with neighbors that were learned by their questions. What stands in
 * for the stations only puts headers back and frames in again.
 */
import { routerType } from '../src/elements/router/router.ts'
import type { ElementContext, ElementType } from '../src/engine/element.ts'
import { ElementRegistry, Engine, VirtualClock } from '../src/engine/index.ts'
import { formatMac } from '../src/wire/address.ts'
import { ArpOperation, emitArp } from '../src/wire/arp.ts'
import { EtherType, emitEthernet } from '../src/wire/ethernet.ts'
import { emitIpv4, IpProtocol } from '../src/wire/ipv4.ts'
import { emitIpv6 } from '../src/wire/ipv6.ts'
import { emitNeighborDiscovery } from '../src/wire/neighbor-discovery.ts'
import { macLow, STATION_MAC_HI } from './station-mac.ts'

const BATCH = 64
/** Bytes of a frame without FCS. */
const FRAME_LENGTH = 60
/** Words of a frame that a router changes: MACs, TTL or hop limit, checksum. */
const CHANGED = [0, 1, 2, 5, 6] as const
const STATION_MAC = '02:cc:00:00:00:0a'
const MACS = ['02:cc:00:00:00:01', '02:cc:00:00:00:02'] as const
const BROADCAST = 'ff:ff:ff:ff:ff:ff'

/** Stations of the networks behind port 0 and 1. */
function address(family: 4 | 6, network: 0 | 1, station: number): string {
  return family === 4 ? `10.${network}.${station >> 8}.${station & 255}` : `2001:db8:${network}::${station.toString(16)}`
}

/** A UDP packet without content for the router's port 0. */
function writePacket(family: 4 | 6, bytes: Uint8Array, at: number, destination: string): void {
  emitEthernet({ destination: MACS[0], source: STATION_MAC, type: family === 4 ? EtherType.ipv4 : EtherType.ipv6 }, bytes, at)
  const ends = { source: address(family, 0, 2), destination }
  if (family === 4) emitIpv4({ ...ends, protocol: IpProtocol.udp, payloadLength: 26 }, bytes, at + 14)
  else emitIpv6({ ...ends, nextHeader: IpProtocol.udp, payloadLength: 6 }, bytes, at + 14)
}

/** A station's question for the router, from which its MAC is learned. Returns its length. */
function writeQuestion(family: 4 | 6, bytes: Uint8Array, at: number, source: string, mac: string): number {
  const router = address(family, 1, 1)
  if (family === 4) {
    emitEthernet({ destination: BROADCAST, source: mac, type: EtherType.arp }, bytes, at)
    const repr = { operation: ArpOperation.request, senderMac: mac, senderIp: source, targetMac: '00:00:00:00:00:00', targetIp: router }
    return 14 + emitArp(repr, bytes, at + 14)
  }
  emitEthernet({ destination: MACS[1], source: mac, type: EtherType.ipv6 }, bytes, at)
  emitIpv6({ source, destination: router, nextHeader: IpProtocol.icmpv6, payloadLength: 32, hopLimit: 255 }, bytes, at + 14)
  const repr = { kind: 'neighbor-solicitation', target: router, flags: 0, linkLayer: mac } as const
  return 54 + emitNeighborDiscovery(repr, bytes, at + 54, at + 14)
}

/** The loop of a micro case: `count` frames from port 0 to `destinations` stations behind port 1. */
export function forwardingLoop(family: 4 | 6, destinations: number): (count: number) => number {
  const contexts: ElementContext[] = []
  const station: ElementType = {
    type: 'station',
    maxPorts: 1,
    counters: [],
    create(context) {
      contexts.push(context)
      return { push() {} }
    }
  }
  const clock = new VirtualClock()
  const engine = new Engine({ clock, elements: new ElementRegistry().register(routerType, station) })
  const interfaces = {
    0: { name: 'a', mac: MACS[0], addresses: ['10.0.0.1/16', '2001:db8:0::1/64'], mtu: 1500, answers: true },
    1: { name: 'b', mac: MACS[1], addresses: ['10.1.0.1/16', '2001:db8:1::1/64'], mtu: 1500, answers: true }
  }
  engine.configure({
    elements: { router: { type: 'router', options: { interfaces } }, a: { type: 'station' }, b: { type: 'station' } },
    links: [
      { a: ['router', 0], b: ['a', 0] },
      { a: ['router', 1], b: ['b', 0] }
    ]
  })
  const [a, b] = contexts
  const { frames } = engine
  const handles = Int32Array.from({ length: destinations }, () => frames.allocate(FRAME_LENGTH))
  const fresh = new Int32Array(destinations * CHANGED.length)
  /** Ends what waits at a station. */
  const drain = (context: ElementContext): void => {
    const { rx } = context.ports[0]!
    while (!rx.empty) frames.free(rx.receive())
    context.nextReady()
  }
  for (let i = 0; i < destinations; i++) {
    const destination = address(family, 1, i + 2)
    const handle = handles[i]
    writePacket(family, frames.bytes(handle), frames.start[handle], destination)
    CHANGED.forEach((word, k) => {
      fresh[i * CHANGED.length + k] = frames.words(handle)[(frames.start[handle] >> 2) + word]
    })
    // Learned and used once: in the cache of ways the next time.
    const question = frames.allocate(128)
    const mac = formatMac({ hi: STATION_MAC_HI, lo: macLow(i) })
    frames.length[question] = writeQuestion(family, frames.bytes(question), frames.start[question], destination, mac)
    b.ports[0]!.tx.transmit(question)
    engine.turn()
    a.ports[0]!.tx.transmit(frames.copy(handle))
    engine.turn()
    drain(b)
  }
  let next = 0
  return (count) => {
    const { tx } = a.ports[0]!
    const { rx } = b.ports[0]!
    let arrived = 0
    for (let done = 0; done < count; done += BATCH) {
      for (let k = 0; k < BATCH; k++) {
        const frame = handles[next]
        const words = frames.words(frame)
        const at = frames.start[frame] >> 2
        const from = next * CHANGED.length
        words[at] = fresh[from]
        words[at + 1] = fresh[from + 1]
        words[at + 2] = fresh[from + 2]
        words[at + 5] = fresh[from + 3]
        words[at + 6] = fresh[from + 4]
        tx.transmit(frame)
        next = next + 1 === destinations ? 0 : next + 1
      }
      engine.turn()
      arrived += rx.size
      while (!rx.empty) rx.receive()
      b.nextReady()
    }
    if (arrived < count) throw new Error(`of ${count} frames ${arrived} arrived: the router dropped the others`)
    return arrived
  }
}

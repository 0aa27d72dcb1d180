/**
 * One frame through a router with production classes: link, router, link, with neighbors that were resolved by ARP. What stands in
 * for the stations only puts headers back and frames in again.
 */
import { routerType } from '../src/elements/router/router.ts'
import type { ElementContext, ElementType } from '../src/engine/element.ts'
import { ElementRegistry, Engine, VirtualClock } from '../src/engine/index.ts'
import { formatIpv4, formatMac, macFromIpv4 } from '../src/wire/address.ts'
import { emitArp } from '../src/wire/arp.ts'
import { EtherType, emitEthernet } from '../src/wire/ethernet.ts'
import { emitIpv4 } from '../src/wire/ipv4.ts'

const BATCH = 64
/** Bytes of a frame without FCS. */
const FRAME_LENGTH = 60
/** Words of a frame that a router changes: MACs, TTL and checksum. */
const CHANGED = [0, 1, 2, 5, 6] as const
/** 10.1.0.0/16 is the network that the frames go to. */
const FIRST_DESTINATION = 0x0a010002
const MACS = ['02:cc:00:00:00:01', '02:cc:00:00:00:02'] as const

/** The loop of a micro case: `count` frames from port 0 to `destinations` stations behind port 1. */
export function forwardingLoop(destinations: number): (count: number) => number {
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
    0: { name: 'a', mac: MACS[0], addresses: ['10.0.0.1/16'], mtu: 1500, answers: true },
    1: { name: 'b', mac: MACS[1], addresses: ['10.1.0.1/16'], mtu: 1500, answers: true }
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
  /** Takes what waits at a station. */
  const drain = (context: ElementContext, each: (frame: number) => void): void => {
    const { rx } = context.ports[0]!
    while (!rx.empty) each(rx.receive())
    context.nextReady()
  }
  for (let i = 0; i < destinations; i++) {
    const address = FIRST_DESTINATION + i
    const mac = formatMac(macFromIpv4(address))
    const question = frames.allocate(FRAME_LENGTH)
    emitEthernet({ destination: 'ff:ff:ff:ff:ff:ff', source: mac, type: EtherType.arp }, frames.bytes(question), frames.start[question])
    const arp = { operation: 2, senderMac: mac, senderIp: formatIpv4(address), targetMac: MACS[1], targetIp: '10.1.0.1' }
    const bytes = frames.bytes(handles[i])
    const at = frames.start[handles[i]]
    emitEthernet({ destination: MACS[0], source: '02:cc:00:00:00:0a', type: EtherType.ipv4 }, bytes, at)
    emitIpv4({ source: '10.0.0.2', destination: formatIpv4(address), protocol: 17, payloadLength: 26, id: i & 0xffff }, bytes, at + 14)
    CHANGED.forEach((word, k) => {
      fresh[i * CHANGED.length + k] = frames.words(handles[i])[(at >> 2) + word]
    })
    // Asked for, answered, forwarded: reachable, and in the cache of ways the next time.
    frames.bytes(question).set([0x02, 0xcc, 0, 0, 0, 2], frames.start[question])
    emitArp(arp, frames.bytes(question), frames.start[question] + 14)
    const first = frames.copy(handles[i])
    a.ports[0]!.tx.transmit(first)
    engine.turn()
    b.ports[0]!.tx.transmit(question)
    engine.turn()
    drain(b, (frame) => frames.free(frame))
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

/**
 * The network under fire, made of production classes by the production topology builder, under a virtual clock:
 *
 *   tap-a  (all offloads)        -- capture -- dns-tap -- |        |
 *   tap-b  (none)                -- capture -- dns-tap -- | bridge | -- gateway
 *   jumbo  (checksums, MTU 9000) -- capture -- dns-tap -- |        |
 *   echo   (host, UDP echo)      -- capture -- dns-tap -- |        |
 *   judge  (host)                -- capture -- dns-tap -- |        |     dns-service behind every dns-tap
 *
 * The three devices are memory cables; the test holds their far ends, with a pool of its own.
 */
import assert from 'node:assert/strict'
import type { CaptureSink, FrameRecord } from '../../src/capture/frame-record.ts'
import { VirtualClock } from '../../src/engine/clock.ts'
import { type ElementCounters, readCounters } from '../../src/engine/counters.ts'
import { dropReasons } from '../../src/engine/drop-reason.ts'
import type { ElementType, Plain } from '../../src/engine/element.ts'
import { Engine } from '../../src/engine/engine.ts'
import { FrameFlag, FramePool } from '../../src/engine/frame-pool.ts'
import { DEVICE_COUNTERS, DeviceElement } from '../../src/io/device-element.ts'
import { ALL_OFFLOADS, BATCH, NO_OFFLOADS, Offload } from '../../src/io/frame-device.ts'
import { MemoryDevice } from '../../src/io/memory-device.ts'
import { offloadNeeds } from '../../src/io/segment.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { bridgeDriver } from '../../src/network/drivers/bridge-driver.ts'
import { elementRegistry } from '../../src/network/element-registry.ts'
import type { Attachment, Endpoint } from '../../src/network/endpoint.ts'
import type { Network } from '../../src/network/network.ts'
import { formatMac, macFromIpv4, parseIpv4 } from '../../src/wire/address.ts'
import { wholeTopology } from '../network/whole-topology.ts'
import type { FuzzFrame } from './fuzz-frame.ts'

export const NETWORK = 'fuzz'
export const ECHO_PORT = 7
export const DEVICES = ['tap-a', 'tap-b', 'jumbo'] as const
/** Turns without time moving after which frames are taken to run in a circle. */
const TURNS_AT_ONE_INSTANT = 50

const CABLES = (
  [
    ['tap-a', ALL_OFFLOADS, 1500],
    ['tap-b', NO_OFFLOADS, 1500],
    ['jumbo', Offload.csum, 9000]
  ] as const
).map(([name, offloads, mtu]): [string, Attachment] => [name, { type: 'fuzz-device', options: { name, offloads, mtu } }])

interface FarEnd {
  readonly device: MemoryDevice
  /** What the near end may write. */
  readonly offloads: number
  readonly mtu: number
}

/** Time that moves only when told, and notices an engine that never comes to rest. */
class WatchedClock extends VirtualClock {
  private turns = 0

  override now(): number {
    if (++this.turns > TURNS_AT_ONE_INSTANT) throw new Error(`frames run in a circle: ${TURNS_AT_ONE_INSTANT} turns and no rest`)
    return super.now()
  }

  override advanceTo(time: number): void {
    this.rest()
    super.advanceTo(time)
  }

  /** The engine has come to rest. */
  rest(): void {
    this.turns = 0
  }
}

/** Counts copies and looks at every byte of them, as a writer would. */
class CountingSink implements CaptureSink {
  readonly snapLength = 0x7fffffff
  records = 0
  private readonly copy = new Uint8Array(1 << 17)

  record({ bytes, at, captured, original }: FrameRecord): boolean {
    if (captured > original || at < 0 || at + captured > bytes.length) throw new Error(`capture of ${captured} bytes at ${at}`)
    this.copy.set(bytes.subarray(at, at + captured))
    this.records++
    return true
  }

  refuse(): void {}

  comment(): number {
    return -1
  }

  publish(): void {}
}

export class FuzzNetwork {
  readonly engine: Engine
  readonly clock = new WatchedClock()
  readonly sink = new CountingSink()
  readonly ends = new Map<string, FarEnd>()
  /** Frames that left by each device. */
  readonly received = new Map<string, number>(DEVICES.map((name) => [name, 0]))
  injected = 0
  peakInUse = 0
  private readonly farPool = new FramePool({ checked: true, maxSmallChunks: 2, maxLargeChunks: 2 })
  private readonly events: { readonly element: string; readonly event: Plain }[] = []
  private readonly batch = new Int32Array(BATCH)
  private readonly one = new Int32Array(1)

  constructor(seed: number | string) {
    this.engine = new Engine({
      clock: this.clock,
      elements: elementRegistry().register(this.deviceType()),
      seed,
      pool: { checked: true, maxSmallChunks: 4, maxLargeChunks: 2 },
      onEvent: (element, event) => this.events.push({ element, event })
    })
    this.engine.share('sink', { sink: this.sink, snapLength: this.sink.snapLength })
    this.engine.configure(wholeTopology([fuzzNetwork(CABLES)], () => ({ resource: 'sink', interface: 0, everyPort: true })))
    this.settle()
  }

  private deviceType(): ElementType<{ name: string; offloads: number; mtu: number }> {
    return {
      type: 'fuzz-device',
      maxPorts: 1,
      counters: DEVICE_COUNTERS,
      create: (context, { name, offloads, mtu }) => {
        const [near, far] = MemoryDevice.pair(context.frames, this.farPool, { name, offloads, mtu, capacity: 4096 })
        this.ends.set(name, { device: far, offloads, mtu })
        return new DeviceElement(context, near)
      }
    }
  }

  /** Puts a frame into a device's cable; false when that is full. */
  inject(device: string, from: FuzzFrame): boolean {
    const { farPool, one } = this
    const frame = farPool.allocate(from.length)
    farPool.bytes(frame).set(from.bytes.subarray(0, from.length), farPool.start[frame])
    farPool.flags[frame] = from.flags
    farPool.gsoType[frame] = from.gsoType
    farPool.gsoSize[frame] = from.gsoSize
    farPool.hdrLen[frame] = from.hdrLen
    farPool.csumStart[frame] = from.csumStart
    farPool.csumOffset[frame] = from.csumOffset
    one[0] = frame
    const done = this.ends.get(device)!.device.write(one, 0, 1)
    farPool.free(frame)
    this.injected += done
    return done === 1
  }

  /** Everything that is due now happens; `each` sees what leaves by the devices, valid during the call. */
  settle(each?: (device: string, bytes: Uint8Array, flags: number) => void): void {
    do {
      this.peakInUse = Math.max(this.peakInUse, this.engine.frames.inUse)
      while (this.engine.turn());
      this.answerForwarded()
    } while (this.drain(each) > 0 || this.engine.busy)
    this.clock.rest()
  }

  /** Moves time on, stopping at every timer. */
  advance(ns: number, each?: (device: string, bytes: Uint8Array, flags: number) => void): void {
    const end = this.clock.now() + ns
    this.settle(each)
    while (this.engine.nextDeadline <= end) {
      this.clock.advanceTo(Math.max(this.engine.nextDeadline, this.clock.now()))
      this.settle(each)
    }
    this.clock.advanceTo(end)
    this.settle(each)
  }

  /** Gives a command and moves time on until it is answered. */
  command<T>(element: string, verb: string, argument: Plain): T {
    let answer: { error: Error | null; value: unknown } | undefined
    this.engine.command(`${NETWORK}/${element}`, verb, argument, (error, value) => {
      answer = { error, value }
    })
    for (let second = 0; second < 60 && answer === undefined; second++) this.advance(1e9)
    assert.ok(answer, `${verb} of ${element} was never answered`)
    if (answer.error !== null) throw answer.error
    return answer.value as T
  }

  counters(): Map<string, ElementCounters> {
    return readCounters(this.engine.counters.layout())
  }

  /** Ten quiet minutes: nothing may be held after them, and the books must balance. */
  rest(): void {
    this.advance(600e9)
    assert.equal(this.engine.frames.inUse, 0, 'frames are held after ten quiet minutes')
    assert.equal(this.farPool.inUse, 0)
    this.checkBooks()
  }

  /** Drops have names and sentences and are booked twice; what came in went somewhere. */
  checkBooks(): void {
    const counters = this.counters()
    const texts = new Map(dropReasons().map(({ name, text }) => [name, text]))
    let drops = 0
    let ingressDrops = 0
    for (const [element, { drops: here, ingressDrops: there }] of counters) {
      for (const [name, count] of Object.entries(here)) {
        assert.match(texts.get(name) ?? '', /^[A-Z0-9].*\.$/, `${element} drops for '${name}', which is no reason with a sentence`)
        drops += count
      }
      for (const count of Object.values(there)) ingressDrops += count
    }
    assert.equal(ingressDrops, drops, 'drops at the ports of entry, and where frames ended')
    for (const device of DEVICES) {
      const { rxFrames, txFrames } = counters.get(`${NETWORK}/${device}`)!.counters
      assert.equal(txFrames, this.received.get(device), `frames written by ${device} and found in its cable`)
      assert.ok(rxFrames <= this.injected)
    }
    const bridge = counters.get(`${NETWORK}/bridge`)!
    const own = Object.entries(bridge.drops).filter(([name]) => name.startsWith('bridge.'))
    const { rxFrames, forwarded, flooded } = bridge.counters
    assert.equal(rxFrames, forwarded + flooded + own.reduce((sum, [, count]) => sum + count, 0), 'frames into the bridge and their ends')
    const seen = [...counters.entries()].filter(([name]) => name.endsWith('/capture'))
    assert.equal(
      this.sink.records,
      seen.reduce(
        (
          sum,
          [
            ,
            {
              counters: { captured }
            }
          ]
        ) => sum + captured,
        0
      )
    )
  }

  close(): void {
    this.engine.close()
    assert.equal(this.engine.frames.inUse, 0, 'frames are held after close')
  }

  /** The world outside answers some names, some wrongly and some never. */
  private answerForwarded(): void {
    for (const { element, event } of this.events.splice(0)) {
      const { kind, id, query } = event as { kind: string; id: number; query: Uint8Array }
      if (kind !== 'dns-forward' || id % 4 === 0) continue
      const response = id % 4 === 1 ? null : id % 4 === 2 ? query : new Uint8Array(id % 70_000)
      this.engine.command(element, 'answer', { id, response }, (error) => {
        if (error !== null) throw error
      })
    }
  }

  /** Empties the cables, and looks at what came. */
  private drain(each?: (device: string, bytes: Uint8Array, flags: number) => void): number {
    const { farPool, batch } = this
    let total = 0
    for (const [name, { device, offloads, mtu }] of this.ends) {
      for (let count = device.read(batch, BATCH); count > 0; count = device.read(batch, BATCH)) {
        total += count
        this.received.set(name, this.received.get(name)! + count)
        for (let i = 0; i < count; i++) {
          const frame = batch[i]
          const flags = farPool.flags[frame]
          const missing = offloadNeeds(farPool, frame) & ~offloads
          if (missing !== 0) throw new Error(`${name} got a frame that needs the offloads 0x${missing.toString(16)}`)
          if ((flags & FrameFlag.gso) === 0 && farPool.length[frame] > mtu + 18) {
            throw new Error(`${name} got ${farPool.length[frame]} bytes with an MTU of ${mtu}`)
          }
          if (each) {
            const start = farPool.start[frame]
            each(name, farPool.bytes(frame).subarray(start, start + farPool.length[frame]), flags)
          }
          farPool.free(frame)
        }
      }
    }
    return total
  }
}

/** A bridge network with the hosts echo (.2) and judge (.3) and these devices from .4 on. */
export function fuzzNetwork(devices: readonly [name: string, attachment: Attachment][]): Network {
  const space = new AddressSpace()
  const pool = space.addPool('4', { subnet: '192.0.2.0/24' })
  const pool6 = space.addPool('6', { subnet: '2001:db8::/64' })
  const network: Network = {
    id: 'f'.repeat(64),
    name: NETWORK,
    driver: bridgeDriver,
    element: NETWORK,
    dns: true,
    icc: true,
    iccRules: false,
    mtu: 1500,
    internal: false,
    masquerade: true,
    bridgeName: 'br-fuzz',
    link: null,
    gateway: null,
    pool,
    pool6,
    pools: [pool, pool6],
    remotes: new Map(),
    driverOptions: undefined,
    endpoints: new Map()
  }
  const host = (last: number): Attachment => ({
    type: 'host',
    options: { mac: macOf(last), addresses: [`192.0.2.${last}/24`, `2001:db8::${last}/64`], gateway: '192.0.2.1', udpEcho: [ECHO_PORT] }
  })
  const attachments: [string, Attachment][] = [['echo', host(2)], ['judge', host(3)], ...devices]
  attachments.forEach(([name, attachment], slot) => {
    const last = slot + 2
    const endpoint: Endpoint = {
      id: String(slot).repeat(64),
      name,
      element: `${NETWORK}/${name}`,
      address: `192.0.2.${last}`,
      prefixLength: 24,
      address6: `2001:db8::${last}`,
      prefixLength6: 64,
      mac: macOf(last),
      names: [name],
      links: {},
      allow: [],
      sandbox: String(slot),
      probed: false,
      gatewayDns: true,
      ownMac: false,
      link: null,
      dnsPort: slot,
      slot,
      attachment
    }
    network.endpoints.set(name, endpoint)
  })
  return network
}

export function macOf(last: number): string {
  return formatMac(macFromIpv4(parseIpv4(`192.0.2.${last}`)))
}

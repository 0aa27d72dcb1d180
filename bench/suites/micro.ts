/**
 * The micro suite: what single steps cost, in nanoseconds an operation.
 */
import { Fdb } from '../../src/elements/bridge/fdb.ts'
import type { ElementContext, ElementType } from '../../src/engine/element.ts'
import { ElementRegistry, Engine, FramePool, VirtualClock } from '../../src/engine/index.ts'
import { TimerQueue } from '../../src/engine/timer-queue.ts'
import { onesComplementSum, onesComplementSumView, updateChecksum32 } from '../../src/wire/checksum.ts'
import { checkEthernet, etherType, macHi, macLo } from '../../src/wire/ethernet.ts'
import { checkIpv4, ipv4Destination, ipv4HeaderLength, ipv4Payload, ipv4Protocol, ipv4Source } from '../../src/wire/ipv4.ts'
import { checkTcp, tcpDestinationPort, tcpFlags, tcpSourcePort } from '../../src/wire/tcp.ts'
import { filterLoop } from '../filter-loop.ts'
import { nsPerOperation } from '../ns-per-operation.ts'
import { forwardingLoop } from '../router-forwarding.ts'
import { macLow, STATION_MAC_HI } from '../station-mac.ts'
import { type TrialCase, trialSuite } from '../trial-suite.ts'

/** `make` builds what is needed and returns the loop: it does `count` operations and gives something that depends on all. */
function micro(group: string, name: string, make: () => (count: number) => number): TrialCase {
  return { name, group, run: () => ({ ns: nsPerOperation(make()) }) }
}

function fdbOf(macs: number): Fdb {
  const fdb = new Fdb(300, 65_536)
  for (let number = 0; number < macs; number++) fdb.learn(STATION_MAC_HI, macLow(number), number & 15, 0)
  return fdb
}

/** Goes through all numbers below `limit` in an order that looks random. */
const STRIDE = 7919

const fdbCases = [10, 1000, 40_000].flatMap((macs) => {
  const title = `${macs.toLocaleString('en')} MACs`
  return [
    micro('FDB', `FDB look-up, ${title}`, () => {
      const fdb = fdbOf(macs)
      return (count) => {
        let sum = 0
        for (let i = 0, number = 0; i < count; i++) {
          sum += fdb.lookup(STATION_MAC_HI, macLow(number))
          number += STRIDE % macs
          if (number >= macs) number -= macs
        }
        return sum
      }
    }),
    micro('FDB', `FDB refresh, ${title}`, () => {
      const fdb = fdbOf(macs)
      return (count) => {
        let sum = 0
        for (let i = 0, number = 0; i < count; i++) {
          if (fdb.refresh(STATION_MAC_HI, macLow(number), number & 15, 1)) sum++
          number += STRIDE % macs
          if (number >= macs) number -= macs
        }
        return sum
      }
    }),
    micro('FDB', `FDB learn anew, ${title}`, () => {
      let fdb = new Fdb(300, 65_536)
      return (count) => {
        let sum = 0
        for (let i = 0; i < count; i++) {
          if (i % macs === 0) fdb = new Fdb(300, 65_536)
          sum += fdb.learn(STATION_MAC_HI, macLow(i % macs), i & 15, 0)
        }
        return sum
      }
    })
  ]
})

/** Frames in the places where a pool has them, each with TCP over IPv4. */
function tcpFrames(): { pool: FramePool; frames: Int32Array } {
  const pool = new FramePool({ maxSmallChunks: 1, maxLargeChunks: 1 })
  const frames = Int32Array.from({ length: 256 }, () => pool.allocate(64))
  for (const frame of frames) {
    const bytes = pool.bytes(frame)
    const at = pool.start[frame]
    const view = pool.view(frame)
    view.setUint16(at + 12, 0x0800)
    bytes[at + 14] = 0x45
    view.setUint16(at + 16, 50)
    bytes[at + 22] = 64
    bytes[at + 23] = 6
    view.setUint32(at + 26, 0xc0000201)
    view.setUint32(at + 30, 0xc0000202)
    bytes[at + 46] = 0x50
  }
  return { pool, frames }
}

/** Calls `read` with the place of each frame in turn. */
function overFrames(read: (bytes: Uint8Array, at: number, end: number, view: DataView) => number): () => (count: number) => number {
  return () => {
    const { pool, frames } = tcpFrames()
    return (count) => {
      let sum = 0
      for (let i = 0; i < count; i++) {
        const frame = frames[i & 255]
        const at = pool.start[frame]
        sum = (sum + read(pool.bytes(frame), at, at + pool.length[frame], pool.view(frame))) | 0
      }
      return sum
    }
  }
}

const parseCases = [
  micro(
    'parse',
    'both MACs by accessors (bytes)',
    overFrames((bytes, at) => macHi(bytes, at) + macLo(bytes, at) + macHi(bytes, at + 6) + macLo(bytes, at + 6))
  ),
  micro(
    'parse',
    'both MACs by DataView, 4 reads',
    overFrames((_bytes, at, _end, view) => view.getUint16(at) + view.getInt32(at + 2) + view.getUint16(at + 6) + view.getInt32(at + 8))
  ),
  micro(
    'parse',
    'both MACs by DataView, 3 reads',
    overFrames((_bytes, at, _end, view) => {
      const middle = view.getInt32(at + 4)
      const first = view.getInt32(at)
      return (first >>> 16) + ((first << 16) | (middle >>> 16)) + (middle & 0xffff) + view.getInt32(at + 8)
    })
  ),
  micro(
    'parse',
    'Ethernet, checked',
    overFrames((bytes, at, end) => (checkEthernet(bytes, at, end) ? etherType(bytes, at) : 0))
  ),
  micro(
    'parse',
    'IPv4 addresses and protocol, checked',
    overFrames((bytes, at, end) => {
      const ip = at + 14
      if (!checkEthernet(bytes, at, end) || !checkIpv4(bytes, ip, end)) return 0
      return ipv4Source(bytes, ip) + ipv4Destination(bytes, ip) + ipv4Protocol(bytes, ip)
    })
  ),
  micro(
    'parse',
    'TCP tuple and flags, all layers checked',
    overFrames((bytes, at, end) => {
      const ip = at + 14
      if (!checkEthernet(bytes, at, end) || !checkIpv4(bytes, ip, end)) return 0
      const tcp = ip + ipv4HeaderLength(bytes, ip)
      if (ipv4Payload(bytes, ip) !== tcp || !checkTcp(bytes, tcp, end)) return 0
      return (
        ipv4Source(bytes, ip) +
        ipv4Destination(bytes, ip) +
        tcpSourcePort(bytes, tcp) +
        tcpDestinationPort(bytes, tcp) +
        tcpFlags(bytes, tcp)
      )
    })
  )
]

const checksumCases = [64, 576, 1500, 9000, 65_536].flatMap((length) =>
  (['bytes', 'DataView'] as const).map(
    (way): TrialCase => ({
      name: `checksum of ${length.toLocaleString('en')} bytes, ${way}`,
      group: 'checksum',
      run: () => {
        const memory = new SharedArrayBuffer(length + 16)
        const bytes = new Uint8Array(memory).fill(0x5a)
        const view = new DataView(memory)
        const ns = nsPerOperation((count) => {
          let sum = 0
          for (let i = 0; i < count; i++)
            sum = way === 'bytes' ? onesComplementSum(bytes, 2, length, sum & 1) : onesComplementSumView(view, 2, length, sum & 1)
          return sum
        })
        return { ns, gbit: (length * 8) / ns }
      }
    })
  )
)

/** An engine with two elements that do nothing, and the context of one. */
function twoIdle(): { engine: Engine; context: ElementContext; other: ElementContext } {
  const contexts: ElementContext[] = []
  const idle: ElementType = {
    type: 'idle',
    maxPorts: 1,
    counters: [],
    create(context) {
      contexts.push(context)
      return { push() {} }
    }
  }
  const engine = new Engine({ clock: new VirtualClock(), elements: new ElementRegistry().register(idle) })
  engine.configure({ elements: { a: { type: 'idle' }, b: { type: 'idle' } }, links: [{ a: ['a', 0], b: ['b', 0] }] })
  return { engine, context: contexts[0], other: contexts[1] }
}

const BATCH = 64

const engineCases = [
  micro('engine', 'link: transmit and receive', () => {
    const { context, other } = twoIdle()
    return (count) => {
      const { tx } = context.ports[0]!
      const { rx } = other.ports[0]!
      let sum = 0
      for (let i = 0; i < count; i += BATCH) {
        for (let k = 0; k < BATCH; k++) tx.transmit(k)
        while (!rx.empty) sum += rx.receive()
        other.nextReady()
      }
      return sum
    }
  }),
  micro('engine', 'link: transmitAll of 64 and receive', () => {
    const { context, other } = twoIdle()
    const batch = Int32Array.from({ length: BATCH }, (_, k) => k)
    return (count) => {
      const { tx } = context.ports[0]!
      const { rx } = other.ports[0]!
      let sum = 0
      for (let i = 0; i < count; i += BATCH) {
        tx.transmitAll(batch, BATCH)
        while (!rx.empty) sum += rx.receive()
        other.nextReady()
      }
      return sum
    }
  }),
  micro('engine', 'enter', () => {
    const { context } = twoIdle()
    return (count) => {
      for (let i = 0; i < count; i++) context.enter(i & 255)
      return count
    }
  }),
  micro('engine', 'enterAll of 64', () => {
    const { context } = twoIdle()
    const batch = Int32Array.from({ length: BATCH }, (_, k) => k)
    return (count) => {
      for (let i = 0; i < count; i += BATCH) context.enterAll(batch, BATCH)
      return count
    }
  }),
  ...[64, 1518, 65_536].map((length) =>
    micro('engine', `pool: allocate and free, ${length.toLocaleString('en')} bytes`, () => {
      const pool = new FramePool()
      const held = new Int32Array(BATCH)
      return (count) => {
        for (let i = 0; i < count; i += BATCH) {
          for (let k = 0; k < BATCH; k++) held[k] = pool.allocate(length)
          for (let k = 0; k < BATCH; k++) pool.free(held[k])
        }
        return held[0]
      }
    })
  ),
  ...[64, 512, 1518, 65_536].map((length) =>
    micro('engine', `pool: copy and free, ${length.toLocaleString('en')} bytes`, () => {
      const pool = new FramePool()
      const frame = pool.allocate(length)
      return (count) => {
        let copy = 0
        for (let i = 0; i < count; i++) {
          copy = pool.copy(frame)
          pool.free(copy)
        }
        return copy
      }
    })
  ),
  micro('engine', 'timer: arm and fire, 1,000 armed', () => {
    const queue = new TimerQueue()
    let now = 0
    const timers = Array.from({ length: 1000 }, (_, i) => {
      const timer = queue.timer((at) => timer.arm(at + 1000 + (i & 7)))
      timer.arm(i)
      return timer
    })
    return (count) => {
      for (let i = 0; i < count; i++) {
        now = queue.next
        queue.fireDue(now)
      }
      return now + timers.length
    }
  }),
  micro('engine', 'checksum update of an IPv4 address (RFC 1624)', () => (count) => {
    let field = 0x1234
    for (let i = 0; i < count; i++) field = updateChecksum32(field, 0xc0000201 | 0, i)
    return field
  })
]

/** With the links before and behind it, and the headers put back. */
const routerCases = ([4, 6] as const).flatMap((family) =>
  [64, 1000].map((destinations) =>
    micro('router', `IPv${family} forwarded, ${destinations.toLocaleString('en')} destinations`, () => forwardingLoop(family, destinations))
  )
)

/** A frame that is not wanted by the first of a filter's words costs less: these are a mix. */
const FILTERS = [
  '',
  'udp port 53',
  'tcp and host 192.0.2.1',
  'tcp[tcpflags] & tcp-syn != 0',
  'host 10.1.0.7 or net 10.2.0.0/16 and not port 22'
]
const filterCases = FILTERS.map((filter) =>
  micro('capture filter', filter === '' ? 'no filter: every frame is taken' : `filter ${filter}`, () => filterLoop(filter))
)

export const suite = trialSuite({
  name: 'micro',
  title: 'Single steps',
  warmUp: '150 ms of the measured loop',
  rounds: 9,
  columns: [
    { key: 'ns', title: 'time', unit: 'ns', digits: 1, better: 'less' },
    { key: 'gbit', title: 'rate', unit: 'Gbit/s', digits: 1, better: 'more' }
  ],
  cases: [...fdbCases, ...parseCases, ...checksumCases, ...engineCases, ...routerCases, ...filterCases]
})

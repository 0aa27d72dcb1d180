/** The element under a virtual clock: times, orders, shares, and what becomes of frames. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { LinkSettings } from '../../../src/elements/netem/link-settings.ts'
import { readCounters } from '../../../src/engine/counters.ts'
import { FrameFlag, NO_FRAME } from '../../../src/engine/frame-pool.ts'
import { Segmenter } from '../../../src/io/segment.ts'
import { bytesOfFrame, place, slowSum, superFrame } from '../../io/super-frame.ts'
import { CRITICAL, chiSquared } from './chi-squared.ts'
import { ipPacket } from './ip-packet.ts'
import { type Arrival, NetemBench } from './netem-bench.ts'

const MS = 1e6

/** A link in one direction; `check` that every frame came, was dropped or is a copy. */
function link(forward: LinkSettings, seed: number | string = 1): NetemBench {
  return new NetemBench({ forward }, seed)
}

function counter(bench: NetemBench, name: string): number {
  return bench.counters('link').counters[`forward.${name}`]!
}

/** Frames sent, in every way that they can end. */
function assertConserved(bench: NetemBench, sent: number, arrived: number): void {
  const dropped = Object.values(bench.drops()).reduce((sum, count) => sum + count, 0)
  assert.equal(arrived + dropped, sent + counter(bench, 'duplicated'))
  assert.equal(bench.engine.frames.inUse, 0)
}

describe('delay', () => {
  test('exact, in both directions, and the order stays', () => {
    const bench = new NetemBench({ forward: { delay: { meanNs: 40 * MS } }, backward: { delay: { meanNs: 3 * MS } } })
    const arrivals = bench.stream(500, 10_007)
    assert.equal(arrivals.length, 500)
    for (const [index, { sent, at, number }] of arrivals.entries()) assert.deepEqual([at - sent, number], [40 * MS, index])
    bench.send(64, 7, 'b')
    bench.run()
    bench.advance(1)
    assert.deepEqual(
      bench.take('a').map(({ sent, at, number }) => [at - sent, number]),
      [[3 * MS, 7]]
    )
  })

  test('jitter: within its bounds, and later frames overtake', () => {
    const bench = link({ delay: { meanNs: 50 * MS, jitterNs: 10 * MS } })
    const arrivals = bench.stream(5000, 0.1 * MS)
    assert.equal(arrivals.length, 5000)
    assert.ok(arrivals.every(({ sent, at }) => at - sent >= 40 * MS && at - sent <= 60 * MS))
    assert.ok(arrivals.every(({ at }, index) => index === 0 || at >= arrivals[index - 1]!.at))
    assert.ok(arrivals.filter(({ number }, index) => number !== index).length > 1000)
  })

  test('reorder: these come at once, with a gap only every nth', () => {
    for (const gap of [1, 5]) {
      const bench = link({ delay: { meanNs: 10 * MS }, reorder: { probability: 0.25, gap } })
      const early = bench.stream(20_000, 1000).filter(({ sent, at }) => at === sent)
      assert.equal(counter(bench, 'reordered'), early.length)
      // With a gap each overtaking frame is followed by gap - 1 that cannot: one in gap - 1 + 1/p.
      const share = 1 / (gap - 1 + 1 / 0.25)
      const statistic = chiSquared([early.length, 20_000 - early.length], [share, 1 - share])
      assert.ok(statistic < CRITICAL[1]!, `gap ${gap}: ${early.length} early`)
      assert.ok(early.every(({ number }, index) => index === 0 || number - early[index - 1]!.number >= gap))
    }
  })

  test('the same seed gives the same times, another one others', () => {
    const settings: LinkSettings = {
      delay: { meanNs: 5 * MS, jitterNs: MS, distribution: 'normal' },
      loss: { model: 'random', probability: 0.1 }
    }
    const run = (seed: number): number[] =>
      link(settings, seed)
        .stream(300, 5000)
        .map(({ at }) => at)
    assert.deepEqual(run(1), run(1))
    assert.notDeepEqual(run(1), run(2))
  })
})

describe('rate', () => {
  // Mbit/s, frame length: from a modem to 10 Gbit/s.
  for (const [bitsPerSecond, length] of [
    [56e3, 700],
    [1e6, 1514],
    [100e6, 64],
    [1e9, 1514],
    [10e9, 1514]
  ] as const) {
    test(`${bitsPerSecond / 1e6} Mbit/s within 1 %`, () => {
      const bench = link({ rate: { bitsPerSecond }, queue: { packets: 5000 } })
      const arrivals = bench.stream(3000, (length * 8e9) / bitsPerSecond / 1.3, length, 400)
      assert.equal(arrivals.length, 3000)
      const seconds = (arrivals.at(-1)!.at - arrivals[0]!.at) / 1e9
      const measured = ((arrivals.length - 1) * length * 8) / seconds
      assert.ok(Math.abs(measured / bitsPerSecond - 1) < 0.001, `${measured}`)
    })
  }

  test('a frame that takes 40 minutes stops no other link', () => {
    const bench = new NetemBench({ forward: { rate: { bitsPerSecond: 200 } }, backward: { delay: { meanNs: 3 * MS } } })
    bench.send(60_000)
    bench.run()
    bench.advance(1)
    const sent = bench.clock.now()
    bench.send(64, 5, 'b')
    bench.run()
    bench.advance(1)
    assert.deepEqual(
      bench.take('a').map(({ number, at }) => [number, at - sent]),
      [[5, 3 * MS]]
    )
    bench.advance(3000)
    assert.deepEqual(
      bench.take().map(({ at }) => at / 1e9),
      [2400]
    )
  })

  test('a lone frame takes its time on the link, then its delay', () => {
    const bench = link({ rate: { bitsPerSecond: 1e6 }, delay: { meanNs: 20 * MS } })
    const arrivals = bench.stream(3, 100 * MS, 1250)
    assert.deepEqual(
      arrivals.map(({ sent, at }) => at - sent),
      [30 * MS, 30 * MS, 30 * MS]
    )
  })

  test('burst: saved while the link is idle, up to its bytes', () => {
    const bench = link({ rate: { bitsPerSecond: 1e6, burstBytes: 5000 } })
    bench.runTo(10e9)
    for (let i = 0; i < 10; i++) bench.send(1000, i)
    bench.run()
    bench.advance(1)
    assert.deepEqual(
      bench.take().map(({ sent, at }) => (at - sent) / MS),
      [0, 0, 0, 0, 0, 8, 16, 24, 32, 40]
    )
  })

  test('overhead and cells: ATM carries 48 bytes in 53', () => {
    const bench = link({ rate: { bitsPerSecond: 53 * 8 * 1000, overheadBytes: 8, cellBytes: 48, cellOverheadBytes: 5 } })
    bench.send(64)
    bench.run()
    bench.advance(1)
    assert.deepEqual(
      bench.take().map(({ sent, at }) => at - sent),
      [2 * MS]
    )
  })

  test('the queue has its limit in packets or in bytes, and what comes then is dropped', () => {
    for (const [queue, kept] of [
      [{ packets: 10 }, 11],
      [{ bytes: 5000 }, 6]
    ] as const) {
      const bench = link({ rate: { bitsPerSecond: 1e6 }, queue })
      for (let i = 0; i < 100; i++) bench.send(1000, i)
      bench.run()
      assert.deepEqual((bench.command('link', 'show') as { forward: { backlog: unknown } }).forward.backlog, {
        packets: kept - 1,
        bytes: (kept - 1) * 1000
      })
      bench.advance(5)
      const arrivals = bench.take()
      assert.deepEqual(
        arrivals.map(({ number }) => number),
        Array.from({ length: kept }, (_, index) => index)
      )
      assert.deepEqual(bench.drops(), { 'netem.queueFull': 100 - kept })
      assertConserved(bench, 100, kept)
    }
  })

  test('of a super-frame the segments count, and those for which there is room get in', () => {
    for (const [queue, kept] of [
      [{ packets: 7 }, 7],
      [{ bytes: 7 * 1054 }, 7],
      [{ packets: 7, discipline: 'codel' }, 7]
    ] as const) {
      const bench = link({ rate: { bitsPerSecond: 8e6 }, queue })
      const { frames } = bench.engine
      for (let i = 0; i < 3; i++) {
        bench.enter(place(frames, superFrame({ transport: 'tcp', family: 4, payload: new Uint8Array(5000), gsoSize: 1000 })))
      }
      bench.run()
      assert.equal((bench.command('link', 'show') as { forward: { backlog: { packets: number } } }).forward.backlog.packets, kept)
      bench.advance(1)
      // Five are on the link at once, five wait, and two of the last five.
      assert.deepEqual(
        bench.take().map(({ length }) => length),
        [5054, 5054, 2054]
      )
      assert.deepEqual([counter(bench, 'queueDrops'), bench.drops()], [3, { 'netem.queueFull': 1 }])
      assert.equal(frames.inUse, 0)
    }
  })

  test('a super-frame pays for every segment and its headers', () => {
    const bench = link({ rate: { bitsPerSecond: 8e6 } })
    const frame = superFrame({ transport: 'tcp', family: 4, payload: new Uint8Array(4500), gsoSize: 1000 })
    bench.enter(place(bench.engine.frames, frame))
    bench.run()
    bench.advance(1)
    const [{ sent, at }] = bench.take() as [Arrival]
    assert.equal(at - sent, (5 * 54 + 4500) * 1000)
  })
})

describe('loss, duplication, corruption', () => {
  test('shares, and every frame is accounted for', () => {
    const bench = link({
      loss: { model: 'random', probability: 0.05 },
      duplicate: { probability: 0.1 },
      corrupt: { probability: 0.02 }
    })
    const arrivals = bench.stream(40_000, 1000)
    const lost = counter(bench, 'lost')
    assert.ok(chiSquared([lost, 40_000 - lost], [0.05, 0.95]) < CRITICAL[1]!)
    const doubled = counter(bench, 'duplicated')
    assert.ok(chiSquared([doubled, 40_000 - lost - doubled], [0.1, 0.9]) < CRITICAL[1]!)
    const corrupted = counter(bench, 'corrupted')
    assert.ok(chiSquared([corrupted, 40_000 - lost - corrupted], [0.02, 0.98]) < CRITICAL[1]!)
    // The copy of a corrupted frame is whole; one flipped bit each, behind the Ethernet header.
    const broken = arrivals.filter(({ bytes, number }) => bytes.slice(18).some((byte) => byte !== 0) || number < 0 || number >= 40_000)
    assert.ok(broken.length <= corrupted && broken.length > corrupted * 0.8)
    assert.deepEqual(bench.drops(), { 'netem.loss': lost })
    assertConserved(bench, 40_000, arrivals.length)
  })

  test('only what matches is lost', () => {
    const bench = link({ loss: { model: 'nth', n: 1, match: { protocol: 'udp', destinationPort: 9, source: '192.0.2.0/24' } } })
    const { frames } = bench.engine
    bench.enter(place(frames, superFrame({ transport: 'udp', family: 4, payload: new Uint8Array(20), gsoSize: 0 })))
    bench.enter(place(frames, superFrame({ transport: 'tcp', family: 4, payload: new Uint8Array(20), gsoSize: 0 })))
    bench.enter(place(frames, superFrame({ transport: 'udp', family: 6, payload: new Uint8Array(20), gsoSize: 0 })))
    bench.send()
    bench.run()
    assert.deepEqual([bench.take().length, bench.drops()], [3, { 'netem.loss': 1 }])
  })

  test('what is behind extension headers is matched by its own protocol and ports', () => {
    const bench = link({ loss: { model: 'nth', n: 1, match: { protocol: 'udp', sourcePort: 4000 } } })
    const plain = ipPacket({ family: 6, port: 4000, length: 80 })
    // Destination options of eight bytes: one PadN.
    const extended = Uint8Array.from([...plain.slice(0, 54), 17, 0, 1, 4, 0, 0, 0, 0, ...plain.slice(54)])
    extended[19] += 8
    extended[20] = 60
    const { frames } = bench.engine
    for (const bytes of [extended, ipPacket({ family: 6, port: 4001, length: 80 })]) {
      const frame = frames.allocate(bytes.length)
      frames.bytes(frame).set(bytes, frames.start[frame])
      bench.enter(frame)
    }
    bench.run()
    assert.deepEqual([bench.take().length, bench.drops()], [1, { 'netem.loss': 1 }])
  })

  test('a corrupted packet has a checksum that is wrong, also where the device was to finish it', () => {
    const bench = link({ corrupt: { probability: 1 } }, 'corrupt')
    for (let i = 0; i < 50; i++) {
      bench.enter(place(bench.engine.frames, superFrame({ transport: 'udp', family: 4, payload: new Uint8Array(600), gsoSize: 0 })))
      bench.run()
      const [{ bytes, flags }] = bench.take() as [Arrival]
      assert.equal(flags & FrameFlag.csum, 0)
      const pseudo = Uint8Array.from([...bytes.slice(26, 34), 0, 17, 608 >> 8, 608 & 255])
      const isSound = (slowSum(pseudo) + slowSum(bytes.slice(34))) % 65535 === 0 && slowSum(bytes.slice(14, 34)) % 65535 === 0
      assert.equal(isSound, false)
    }
  })

  for (const [transport, family] of [
    ['tcp', 4],
    ['tcp', 6],
    ['udp', 4],
    ['udp', 6]
  ] as const) {
    test(`segments of a ${transport} super-frame over IPv${family}: cut where the decision changes, each as it would have been`, () => {
      let cuts = 0
      for (let seed = 0; seed < 40; seed++) {
        const bench = link({ loss: { model: 'gilbert-elliott', toBad: 0.2, toGood: 0.4, lossInBad: 1, lossInGood: 0 } }, seed)
        const { frames } = bench.engine
        const payload = Uint8Array.from({ length: 20_345 }, (_, index) => (index * 7) & 255)
        const whole = superFrame({ transport, family, payload, gsoSize: 1000, tcpFlags: 0x99, tags: seed % 2 })
        const all = segments(bench, place(frames, whole))
        bench.enter(place(frames, whole))
        bench.run()
        const arrived = bench.take()
        const pieces = arrived.map((piece) => {
          const frame = frames.allocate(piece.length)
          frames.bytes(frame).set(piece.bytes, frames.start[frame])
          frames.flags[frame] = piece.flags
          frames.gsoType[frame] = whole.gsoType
          frames.gsoSize[frame] = piece.gsoSize
          frames.csumStart[frame] = whole.csumStart
          frames.csumOffset[frame] = whole.csumOffset
          return segments(bench, frame)
        })
        const kept = pieces.flat()
        assert.equal(kept.length + counter(bench, 'lost'), all.length)
        // What came is what a device would have cut from the whole, without the lost ones, in order.
        let at = -1
        for (const segment of kept) {
          const found = all.findIndex((other, index) => index > at && clean(other) === clean(segment))
          assert.ok(found > at, 'a segment that the whole does not have')
          at = found
        }
        if (arrived.length > 1) cuts++
        assert.ok(arrived.length <= 8, 'neighbors with one fate stay together')
        assert.equal(frames.inUse, 0)
      }
      assert.ok(cuts > 20)
    })
  }
})

/** PSH, FIN and CWR depend on where a frame was cut: without them and their checksum. */
function clean(segment: Buffer): string {
  return segment.toString('hex')
}

/** What the segmentation of a device makes of a frame; the frame is gone. */
function segments(bench: NetemBench, frame: number): Buffer[] {
  const { frames } = bench.engine
  const result: Buffer[] = []
  if ((frames.flags[frame]! & FrameFlag.gso) !== 0) {
    const segmenter = new Segmenter(frames)
    assert.ok(segmenter.begin(frame))
    for (let segment = segmenter.next(); segment !== NO_FRAME; segment = segmenter.next()) {
      result.push(bytesOfFrame(frames, segment))
      frames.free(segment)
    }
  } else {
    const bytes = bytesOfFrame(frames, frame)
    const at = frames.csumStart[frame]!
    const field = at + frames.csumOffset[frame]!
    // As completeChecksum does, but not by it.
    if ((frames.flags[frame]! & FrameFlag.csum) !== 0) bytes.writeUInt16BE(65535 - slowSum(bytes.subarray(at)) || 65535, field)
    result.push(bytes)
  }
  frames.free(frame)
  return result
}

describe('down, flapping, MTU', () => {
  test('down, and up again by an update', () => {
    const bench = link({ down: true })
    bench.send()
    bench.run()
    assert.deepEqual([bench.take().length, bench.drops()], [0, { 'netem.down': 1 }])
    bench.engine.patch({ updates: [{ element: 'link', change: { forward: null } }] })
    bench.send()
    bench.run()
    assert.equal(bench.take().length, 1)
  })

  test('flapping: up, down, up', () => {
    const bench = link({ flap: { upNs: 10 * MS, downNs: 5 * MS } })
    const passed = new Set(bench.stream(60, MS).map(({ number }) => number))
    for (let i = 0; i < 60; i++) assert.equal(passed.has(i), i % 15 < 10, `${i} ms`)
  })

  test('MTU: of packets and of segments, without Ethernet header and tag', () => {
    const bench = link({ mtu: 1000 })
    const { frames } = bench.engine
    const udp = (length: number, tags: number, gsoSize = 0): number =>
      bench.enter(place(frames, superFrame({ transport: 'udp', family: 4, payload: new Uint8Array(length), gsoSize, tags })))
    udp(972, 0)
    udp(972, 1)
    udp(5000, 0, 972)
    bench.run()
    assert.equal(bench.take().length, 3)
    udp(973, 0)
    udp(973, 1)
    udp(5000, 0, 973)
    bench.run()
    assert.deepEqual([bench.take().length, bench.drops()], [0, { 'netem.mtu': 3 }])
  })
})

describe('changes while frames are under way', () => {
  test('a new rate holds for what waits, a new delay for what is not yet on its way', () => {
    const bench = link({ rate: { bitsPerSecond: 8e3 }, delay: { meanNs: 10 * MS } })
    for (let i = 0; i < 4; i++) bench.send(1000, i)
    bench.run()
    bench.runTo(500 * MS)
    bench.engine.patch({ updates: [{ element: 'link', change: { forward: { rate: { bitsPerSecond: 8e6 } } } }] })
    bench.advance(5)
    // Half of the first one has left at the old rate: the other half takes half a millisecond.
    assert.deepEqual(
      bench.take().map(({ number, at }) => [number, at / MS]),
      [
        [0, 500.5],
        [1, 501.5],
        [2, 502.5],
        [3, 503.5]
      ]
    )
    assert.equal(bench.engine.frames.inUse, 0)
  })

  test('without a rate all of it goes at once; a slower one holds for the rest of the frame, too', () => {
    for (const [change, expected] of [
      [{ delay: { meanNs: MS } }, [501, 501]],
      [{ rate: { bitsPerSecond: 4e3 } }, [1500, 3500]]
    ] as const) {
      const bench = link({ rate: { bitsPerSecond: 8e3 } })
      for (let i = 0; i < 2; i++) bench.send(1000, i)
      bench.run()
      bench.runTo(500 * MS)
      bench.engine.patch({ updates: [{ element: 'link', change: { forward: change } }] })
      bench.advance(5)
      const arrivals = bench.take()
      assert.deepEqual(
        arrivals.map(({ at }) => at / MS),
        expected
      )
      assert.deepEqual(
        arrivals.map(({ number }) => number),
        [0, 1]
      )
    }
  })

  test('an update that cannot be changes nothing, and a change can be undone', () => {
    const bench = link({ delay: { meanNs: MS } })
    assert.throws(
      () => bench.engine.patch({ updates: [{ element: 'link', change: { forward: { rate: { bitsPerSecond: -1 } } } }] }),
      /rate.bitsPerSecond -1 must be a number/
    )
    assert.throws(
      () =>
        bench.engine.patch({
          updates: [
            { element: 'link', change: { forward: {} } },
            { element: 'link', change: { forward: { mtu: 1 } } }
          ]
        }),
      /mtu 1/
    )
    bench.send()
    bench.run()
    bench.advance(1)
    assert.deepEqual(
      bench.take().map(({ sent, at }) => at - sent),
      [MS]
    )
  })

  test('the end of the link drops what it holds', () => {
    const bench = link({ delay: { meanNs: 100 * MS }, rate: { bitsPerSecond: 8e6 } })
    for (let i = 0; i < 10; i++) bench.send(1000, i)
    bench.run()
    bench.advance(0.005)
    bench.configure({}, [])
    assert.equal(bench.engine.frames.inUse, 0)
    assert.equal(bench.engine.wheel.size, 0)
    assert.equal(readCounters(bench.engine.counters.layout()).size, 0)
  })
})

describe('a schedule', () => {
  test('rate, delay and loss follow it, and it begins again', () => {
    const bench = link({
      schedule: {
        points: [
          { atNs: 0, delayNs: 5 * MS },
          { atNs: 100 * MS, delayNs: 20 * MS },
          { atNs: 200 * MS, lossProbability: 1 },
          { atNs: 300 * MS, lossProbability: 0, bitsPerSecond: 64e3 }
        ],
        repeatNs: 400 * MS
      }
    })
    const arrivals = bench.stream(80, 10 * MS, 80)
    const took = new Map(arrivals.map(({ number, sent, at }) => [number, Math.round((at - sent) / 1e5) / 10]))
    const expected = (number: number): number | undefined => {
      const phase = number % 40
      if (phase >= 20 && phase < 30) return undefined
      // From 300 ms on a frame takes 10 ms to be sent; it is delayed by what holds when it has left.
      const isRated = number >= 30
      const left = (number + (isRated ? 1 : 0)) % 40
      return (left < 10 ? 5 : 20) + (isRated ? 10 : 0)
    }
    for (let i = 0; i < 80; i++) assert.equal(took.get(i), expected(i), `frame ${i}`)
  })

  test('a dip of the rate is over when it is over', () => {
    const bench = link({
      schedule: {
        points: [
          { atNs: 0, bitsPerSecond: 10e6 },
          { atNs: 100 * MS, bitsPerSecond: 1e3 },
          { atNs: 200 * MS, bitsPerSecond: 10e6 }
        ]
      }
    })
    // A frame takes 1 ms, and 10 s in the dip.
    const arrivals = bench.stream(300, MS, 1250)
    assert.deepEqual(
      arrivals.map(({ number }) => number),
      Array.from({ length: 300 }, (_, index) => index)
    )
    // The one that is on the wire in the dip has a hundredth of it sent by then; a hundred wait behind it, and never fewer.
    assert.deepEqual([arrivals[99]!.at / MS, arrivals[100]!.at / MS, arrivals[299]!.at / MS], [100, 200.99, 399.99])
  })

  test('down and up again at their times', () => {
    const bench = link({
      schedule: {
        points: [
          { atNs: 10 * MS, down: true },
          { atNs: 15 * MS, down: false }
        ],
        repeatNs: 20 * MS
      }
    })
    const passed = new Set(bench.stream(60, MS).map(({ number }) => number))
    for (let i = 0; i < 60; i++) assert.equal(passed.has(i), i % 20 < 10 || i % 20 >= 15, `${i} ms`)
  })
})

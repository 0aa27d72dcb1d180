/** Prefix table, neighbor table and frame queues against plain models, by seeded random operations. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { maskWord, type Words } from '../../../src/elements/router/address-words.ts'
import { ErrorLimit } from '../../../src/elements/router/error-limit.ts'
import { FrameQueues, INTERFACE_FRAMES_MAX, QUEUE_FRAMES_MAX, WAITING_FRAMES_MAX } from '../../../src/elements/router/frame-queue.ts'
import { NeighborState, NeighborTable, NO_NEIGHBOR, Waiting } from '../../../src/elements/router/neighbor-table.ts'
import { NO_VALUE, PrefixTable } from '../../../src/elements/router/prefix-table.ts'
import { Reach, RouteRegions } from '../../../src/elements/router/route-regions.ts'
import { FramePool, NO_FRAME } from '../../../src/engine/frame-pool.ts'
import { Random } from '../../../src/engine/random.ts'

describe('prefix table', () => {
  for (const bits of [32, 128]) {
    test(`${bits} bits: longest match as by trying them all, through 20,000 changes`, () => {
      const random = new Random(bits)
      const table = new PrefixTable()
      const model = new Map<string, { words: Words; length: number; value: number }>()
      // Few bits differ, so that prefixes nest and meet.
      const word = (): number => (random.int32() & 0x8000_0003) | 0
      const masked = (words: Words, length: number): Words => words.map((each, i) => each & maskWord(length, i)) as unknown as Words
      const draw = (): Words => (bits === 32 ? [random.int32() & 0xc0000007, 0, 0, 0] : [word(), word(), word(), word()])
      for (let step = 0; step < 20_000; step++) {
        const length = random.below(bits + 1)
        const words = masked(draw(), length)
        const key = `${words}/${length}`
        if (random.next() < 0.55) {
          const value = random.below(1000)
          table.set(words, length, value)
          model.set(key, { words, length, value })
        } else assert.equal(table.delete(words, length), model.delete(key))
        assert.equal(table.size, model.size)
        const address = draw()
        let longest = -1
        let expected = NO_VALUE
        for (const entry of step % 20 === 0 ? model.values() : []) {
          if (entry.length <= longest || masked(address, entry.length).some((each, i) => each !== entry.words[i])) continue
          longest = entry.length
          expected = entry.value
        }
        if (step % 20 === 0) assert.equal(bits === 32 ? table.lookup4(address[0]) : table.lookup(...address), expected)
        assert.equal(table.find(...words, length), model.get(key)?.value ?? NO_VALUE)
        if (bits === 32) assert.equal(table.find4(words[0], length), model.get(key)?.value ?? NO_VALUE)
      }
    })
  }
})

describe('route regions', () => {
  const of = (text: string): number => text.split('.').reduce((sum, byte) => (sum << 8) | Number(byte), 0)

  test('all addresses of a block have the longest prefix of the one that was asked for, while prefixes come and go', () => {
    const random = new Random(5)
    const table = new PrefixTable()
    const regions = new RouteRegions()
    const there: (readonly [network: number, length: number])[] = []
    const met = new Set<number>()
    for (let round = 0; round < 3000; round++) {
      if (there.length < 2 || random.below(9) >= there.length) {
        const length = random.below(33)
        const network = random.int32() & 0x03010080 & maskWord(length, 0)
        const isNew = table.find4(network, length) === NO_VALUE
        assert.equal(table.set([network, 0, 0, 0], length, round), isNew)
        if (isNew) {
          there.push([network, length])
          regions.count(network, length, 1)
        }
      } else {
        const [[network, length]] = there.splice(random.below(there.length), 1)
        assert.ok(table.delete([network, 0, 0, 0], length))
        regions.count(network, length, -1)
      }
      const address = random.int32() & 0x0301ffff
      const reach = regions.reach(address)
      met.add(reach)
      const low = reach === Reach.block8 ? 0xffffff : reach === Reach.block16 ? 0xffff : 0
      const expected = table.lookup4(address)
      for (let j = 0; j < 20; j++) {
        // Both ends of the block, and some between.
        const other = (address & ~low) | ((j === 0 ? 0 : j === 1 ? -1 : random.int32()) & low)
        assert.equal(table.lookup4(other), expected, `${address} and ${other}`)
      }
    }
    assert.equal(met.size, 3)
  })

  test('as far as it goes', () => {
    const regions = new RouteRegions()
    const prefixes: readonly (readonly [string, number])[] = [
      ['0.0.0.0', 0],
      ['10.0.0.0', 8],
      ['10.0.0.1', 32],
      ['20.77.0.0', 16],
      ['198.51.100.0', 24]
    ]
    for (const [network, length] of prefixes) regions.count(of(network), length, 1)
    const expected: readonly (readonly [string, number])[] = [
      ['11.0.0.0', Reach.block8],
      ['10.0.0.2', Reach.host],
      ['10.200.0.1', Reach.block16],
      ['20.77.1.1', Reach.block16],
      ['20.78.1.1', Reach.block16],
      ['198.51.101.9', Reach.host],
      ['198.52.0.1', Reach.block16],
      ['255.255.0.1', Reach.host]
    ]
    for (const [text, reach] of expected) assert.equal(regions.reach(of(text)), reach, text)
    for (const [network, length] of prefixes) regions.count(of(network), length, -1)
    assert.equal(regions.reach(of('10.0.0.1')), Reach.block8)
  })
})

describe('neighbor table', () => {
  test('finds what a map finds, through 50,000 changes; incomplete ones are counted by interface', () => {
    const random = new Random(3)
    const table = new NeighborTable(300, () => random.int32())
    const model = new Map<string, number>()
    const incomplete = new Map<number, number>()
    for (let step = 0; step < 50_000; step++) {
      const address: Words = random.next() < 0.5 ? [random.below(60), 0, 0, 0] : [0, 0, random.below(6), random.below(10)]
      const family = address[0] === 0 ? 6 : 4
      const number = random.below(40)
      const key = `${number} ${family} ${address}`
      const known = table.find(number, family, ...address)
      assert.equal(known, model.get(key) ?? NO_NEIGHBOR)
      const count = incomplete.get(number) ?? 0
      assert.equal(table.incompleteOn(number), count)
      if (known === NO_NEIGHBOR) {
        const slot = table.add(number, family, ...address)
        assert.equal(slot === NO_NEIGHBOR, model.size === 300)
        if (slot === NO_NEIGHBOR) continue
        model.set(key, slot)
        incomplete.set(number, count + 1)
        assert.deepEqual(table.words(slot), address)
        table.wait(slot, random.below(2), step)
        continue
      }
      const wasIncomplete = table.state[known] === NeighborState.incomplete
      if (random.next() < 0.6) {
        table.remove(known)
        model.delete(key)
      } else table.become(known, NeighborState.stale)
      if (wasIncomplete) incomplete.set(number, count - 1)
      assert.equal(table.size, model.size)
    }
  })
  test('of two tables, addresses that meet in one do not in the other', () => {
    // 64 addresses that begin at the same place, found by trying them in a table of a known secret.
    const random = new Random(7)
    const placeOf = (table: NeighborTable, address: number): number => {
      const seen = table as unknown as { hash: (...words: number[]) => number }
      return seen.hash(0, 6, 0x2001_0db8, 0, 0, address)
    }
    const [known, other] = [0, 1].map(() => new NeighborTable(1024, () => random.int32()))
    const meeting: number[] = []
    for (let address = 0; meeting.length < 64; address++) if (placeOf(known, address) === placeOf(known, 0)) meeting.push(address)
    const places = new Set(meeting.map((address) => placeOf(other, address)))
    assert.ok(places.size > 40, `${places.size} places`)
  })
  test('lists are in the order of waiting, whatever leaves them', () => {
    const random = new Random(4)
    const table = new NeighborTable(64, () => random.int32())
    const slots = Array.from({ length: 64 }, (_, i) => table.add(0, 4, i, 0, 0, 0))
    const lists: number[][] = [[], []]
    for (let now = 0; now < 5000; now++) {
      const slot = slots[random.below(64)]
      for (const list of lists) if (list.includes(slot)) list.splice(list.indexOf(slot), 1)
      if (random.next() < 0.3) table.stopWaiting(slot)
      else {
        const list = random.below(2)
        table.wait(slot, list, now)
        lists[list].push(slot)
      }
      for (const list of [Waiting.retransmit, Waiting.delay]) assert.equal(table.longest(list), lists[list][0] ?? NO_NEIGHBOR)
    }
  })
  test('gives away what failed, then what was confirmed longest ago, never what is in use', () => {
    const table = new NeighborTable(4, () => 0x1234_5679)
    const slots = [1, 2, 3, 4].map((address) => table.add(0, 4, address, 0, 0, 0))
    assert.equal(table.evictable(0), NO_NEIGHBOR)
    slots.forEach((slot, i) => {
      table.become(slot, NeighborState.stale)
      table.confirmed[slot] = 10 - i
    })
    table.become(slots[3], NeighborState.reachable)
    table.until[slots[3]] = 100
    assert.equal(table.evictable(50), slots[2])
    assert.equal(table.evictable(101), slots[3])
    table.become(slots[0], NeighborState.failed)
    assert.equal(table.evictable(101), slots[0])
  })
})

test('frame queues: order, bounds, and every frame comes back', () => {
  const random = new Random(5)
  const frames = new FramePool({ checked: true, maxSmallChunks: 2, maxLargeChunks: 1 })
  const queues = new FrameQueues(frames, 100, (frame) => frames.free(frame))
  const last = new Int32Array(100).fill(-1)
  const take = (queue: number): void => {
    const frame = queues.take(queue)
    if (frame === NO_FRAME) return
    assert.ok(frames.packetId[frame] > last[queue], 'in the order in which they came')
    last[queue] = frames.packetId[frame]
    frames.free(frame)
  }
  for (let step = 1; step < 60_000; step++) {
    const queue = random.below(100)
    // Filled at first beyond what fits, and emptied by and by.
    if (random.next() < (step < 20_000 ? 0.9 : 0.48)) {
      const frame = frames.allocate(60)
      frames.packetId[frame] = step
      queues.put(queue, frame, queue % 40)
    } else take(queue)
    assert.ok(queues.size <= WAITING_FRAMES_MAX && queues.length(queue) <= QUEUE_FRAMES_MAX)
    assert.equal(frames.inUse, queues.size)
  }
  for (let queue = 0; queue < 100; queue++) while (queues.length(queue) > 0) take(queue)
  assert.equal(frames.inUse, 0)
})

test('frame queues: an interface fills a quarter of the store, and no other interface has less for it', () => {
  const frames = new FramePool({ checked: true, maxSmallChunks: 2, maxLargeChunks: 1 })
  let dropped = 0
  const queues = new FrameQueues(frames, 200, (frame) => {
    dropped++
    frames.free(frame)
  })
  const fill = (first: number, count: number, number: number): void => {
    for (let i = 0; i < count * QUEUE_FRAMES_MAX; i++) queues.put(first + (i % count), frames.allocate(60), number)
  }
  fill(0, 32, 3)
  assert.deepEqual([queues.size, dropped], [INTERFACE_FRAMES_MAX, 32 * QUEUE_FRAMES_MAX - INTERFACE_FRAMES_MAX])
  dropped = 0
  // A number that the counts must grow for.
  fill(40, 8, 70)
  assert.deepEqual([queues.size, dropped], [2 * INTERFACE_FRAMES_MAX, 0])
  // What leaves makes room for its own interface.
  frames.free(queues.take(0))
  queues.put(0, frames.allocate(60), 3)
  assert.equal(dropped, 0)
  for (let queue = 0; queue < 200; queue++) while (queues.length(queue) > 0) frames.free(queues.take(queue))
  assert.equal(frames.inUse, 0)
})

test('the error limit gives no more than its rate to all, and to one, however often it is asked', () => {
  const limit = new ErrorLimit(7)
  const second = 1e9
  let one = 0
  let all = 0
  for (let i = 0; i < 100_000; i++) {
    const now = (i / 100_000) * 10 * second
    if (limit.take(now, 1, 0, 0, 0, second)) one++
    else if (limit.take(now, 2 + (i % 5000), 0, 0, 0, second)) all++
  }
  assert.equal(one, 6 + 9)
  assert.ok(one + all <= 50 + 10_000 && one + all > 9000, `${one + all} errors in ten seconds`)
})

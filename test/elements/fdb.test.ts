import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fdb, Learned, NOT_FOUND } from '../../src/elements/bridge/fdb.ts'
import { formatMac } from '../../src/wire/address.ts'
import { seededRandom } from '../wire/seeded-random.ts'

test('entries are added, refreshed, moved and found', () => {
  const fdb = new Fdb(300, 10)
  assert.equal(fdb.lookup(0x02cc, 1), NOT_FOUND)
  assert.equal(fdb.learn(0x02cc, 1, 3, 0), Learned.added)
  assert.equal(fdb.learn(0x02cc, 1, 3, 1), Learned.refreshed)
  assert.equal(fdb.lookup(0x02cc, 1), 3)
  assert.equal(fdb.learn(0x02cc, 1, 4, 2), Learned.moved)
  assert.equal(fdb.lookup(0x02cc, 1), 4)
  assert.equal(fdb.learned, 1)
})

test('addresses that differ in one half only are different; 00:00:00:00:00:01 and negative halves work', () => {
  const fdb = new Fdb(300, 10)
  const addresses: [number, number][] = [
    [0, 1],
    [1, 0],
    [0xfe00, -1],
    [0xfe00, 0x7fffffff],
    [0, -1]
  ]
  addresses.forEach(([hi, lo], port) => {
    fdb.learn(hi, lo, port, 0)
  })
  addresses.forEach(([hi, lo], port) => {
    assert.equal(fdb.lookup(hi, lo), port)
  })
  assert.deepEqual(fdb.entries(0)[2], { mac: 'fe:00:ff:ff:ff:ff', port: 2, static: false, age: 0 })
})

test('a sweep removes what is older than the ageing time', () => {
  const fdb = new Fdb(10, 10)
  fdb.learn(2, 1, 5, 100)
  assert.equal(fdb.oldest(), 100)
  assert.equal(fdb.sweep(110), 0)
  assert.equal(fdb.lookup(2, 1), 5)
  assert.equal(fdb.sweep(111), 1)
  assert.equal(fdb.lookup(2, 1), NOT_FOUND)
  assert.equal(fdb.learned, 0)
  assert.equal(fdb.aged, 1)
  assert.equal(fdb.oldest(), Number.POSITIVE_INFINITY)
})

test('a full table refuses the new and keeps the known; old entries make room', () => {
  const fdb = new Fdb(10, 2)
  fdb.learn(2, 1, 1, 0)
  fdb.learn(2, 2, 1, 5)
  assert.equal(fdb.learn(2, 3, 1, 6), Learned.refused)
  assert.equal(fdb.learn(2, 1, 9, 6), Learned.moved)
  assert.equal(fdb.lookup(2, 3), NOT_FOUND)
  assert.equal(fdb.learn(2, 3, 1, 16), Learned.added, '2 is 11 s old')
  assert.deepEqual(
    fdb.entries(16).map(({ mac }) => mac),
    ['00:02:00:00:00:03', '00:02:00:00:00:01']
  )
})

test('static entries neither move nor age nor count, and take the place of a learned one', () => {
  const fdb = new Fdb(10, 1)
  fdb.learn(2, 1, 1, 0)
  fdb.addStatic(2, 1, 7)
  assert.equal(fdb.learned, 0)
  assert.equal(fdb.statics, 1)
  assert.equal(fdb.learn(2, 1, 3, 0), Learned.refreshed)
  assert.equal(fdb.lookup(2, 1), 7)
  assert.equal(fdb.learn(2, 2, 1, 0), Learned.added)
  assert.equal(fdb.flush(null), 1)
  assert.deepEqual(fdb.entries(50), [{ mac: '00:02:00:00:00:01', port: 7, static: true, age: 0 }])
  fdb.addStatic(2, 1, 8)
  assert.equal(fdb.statics, 1)
  assert.equal(fdb.lookup(2, 1), 8)
  fdb.removeStatics()
  assert.equal(fdb.lookup(2, 1), NOT_FOUND)
  assert.equal(fdb.statics, 0)
})

test('flush forgets one port', () => {
  const fdb = new Fdb(300, 100)
  for (let i = 0; i < 50; i++) fdb.learn(2, i, i % 5, 0)
  assert.equal(fdb.flush(3), 10)
  for (let i = 0; i < 50; i++) assert.equal(fdb.lookup(2, i), i % 5 === 3 ? NOT_FOUND : i % 5)
})

test('a hundred thousand addresses, counted up or random, are all found', () => {
  const random = seededRandom(3)
  for (const make of [(i: number) => i, (i: number) => i << 8, (i: number) => i << 16, () => random(2 ** 32) | 0]) {
    const fdb = new Fdb(300, 1_000_000)
    const where = new Map<number, number>()
    for (let i = 0; i < 100_000; i++) {
      const lo = make(i)
      where.set(lo, i & 4095)
      fdb.learn(0x0242, lo, i & 4095, 0)
    }
    assert.equal(fdb.learned, where.size)
    for (const [lo, port] of where) assert.equal(fdb.lookup(0x0242, lo), port)
  }
})

test('any order of learn, remove, flush and sweep agrees with a map', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed)
    const fdb = new Fdb(20, 150)
    const model = new Map<string, { port: number; seen: number; static: boolean }>()
    const remove = (test: (entry: { port: number; seen: number; static: boolean }) => boolean) => {
      for (const [key, entry] of model) if (test(entry)) model.delete(key)
    }
    let now = 0
    for (let step = 0; step < 4000; step++) {
      now += random(8) === 0 ? 1 : 0
      const hi = 2 + 256 * random(2)
      const lo = random(100) - 50
      const key = `${formatMac({ hi, lo })}`
      const port = random(6)
      const action = random(100)
      if (action < 70) {
        fdb.learn(hi, lo, port, now)
        const entry = model.get(key)
        if (!entry?.static) model.set(key, { port, seen: now, static: false })
      } else if (action < 90) assert.equal(fdb.remove(hi, lo), model.delete(key), `seed ${seed}, step ${step}`)
      else if (action < 94) {
        fdb.addStatic(hi, lo, port)
        model.set(key, { port, seen: now, static: true })
      } else if (action < 96) {
        fdb.flush(port)
        remove((entry) => !entry.static && entry.port === port)
      } else if (action < 99) {
        fdb.sweep(now)
        remove((entry) => !entry.static && now - entry.seen > 20)
      } else {
        fdb.removeStatics()
        remove((entry) => entry.static)
      }
      const entries = fdb.entries(now)
      assert.equal(entries.length, model.size, `seed ${seed}, step ${step}`)
      // Millions of them: no text is made for one that is as it should be.
      for (const { mac, port: known } of entries)
        if (known !== model.get(mac)?.port) assert.fail(`seed ${seed}, step ${step}: ${mac} is at port ${known}`)
      assert.equal(fdb.learned + fdb.statics, model.size, `seed ${seed}, step ${step}`)

      // A frame from that address to another one, as the bridge asks for it.
      const toLo = random(100) - 50
      const from = model.get(key)
      const to = model.get(formatMac({ hi, lo: toLo }))
      const known = from?.port === port && to !== undefined && to.port !== port
      const near = fdb.relayNear(hi, lo, hi, toLo, port, now)
      if (near !== NOT_FOUND) assert.equal(near, known ? to.port : NOT_FOUND, `seed ${seed}, step ${step}`)
      assert.equal(fdb.relay(hi, lo, hi, toLo, port, now), known ? to.port : NOT_FOUND, `seed ${seed}, step ${step}`)
      if (from?.port === port && !from.static) from.seen = now
    }
  }
})

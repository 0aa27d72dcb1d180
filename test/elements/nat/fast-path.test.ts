// The fast path does what the long way does: the same streams through a NAT with it and one without.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FrameFlag } from '../../../src/engine/frame-pool.ts'
import type { TestFrameFields } from '../../engine/test-elements.ts'
import { fuzzSeed } from '../../fuzz/fuzz-seed.ts'
import { seededRandom } from '../../wire/seeded-random.ts'
import { NatBench } from './nat-bench.ts'
import { ROUTER_MAC, tcp, udp } from './packets.ts'

const WORLD = '203.0.113.200'
const STEPS = 1500
const seeds = process.env['NETLOOM_FUZZ_SEED'] ? [fuzzSeed()] : [1, 2, 3, fuzzSeed()]

interface Step {
  readonly from: number
  readonly frame: Uint8Array
  readonly fields: TestFrameFields
  /** Seconds that pass after it. */
  readonly pause: number
}

/** Talks of six UDP pairs and six TCP connections, with what the fast path must leave to others strewn in. */
class Talks {
  private readonly random: (bound: number) => number
  /** Next sequence numbers of both ends by connection; -1: not open. */
  private readonly tcp = Array.from({ length: 6 }, () => ({ client: -1, server: -1 }))

  constructor(seed: number) {
    this.random = seededRandom(seed)
  }

  next(): Step[] {
    const number = this.random(6)
    const steps = this.random(2) === 0 ? [this.udp(number)] : this.tcpSteps(number)
    return steps.map((step) => ({ ...this.spoil(step), pause: this.random(80) === 0 ? 1.5 : [0, 0, 0.005][this.random(3)] }))
  }

  private udp(number: number): Omit<Step, 'pause'> {
    const isPublished = number >= 4
    const outward = this.random(2) === 0
    const [here, mapped] = isPublished
      ? ['192.0.2.2:53', '198.51.100.50:5353']
      : [`192.0.2.2:${5000 + number}`, `198.51.100.50:${5000 + number}`]
    const there = `${WORLD}:${9000 + number}`
    const fields = { payload: this.random(300), ttl: 2 + this.random(60), noChecksum: this.random(8) === 0 }
    return outward ? { from: 0, frame: udp(here, there, fields), fields: {} } : { from: 2, frame: udp(there, mapped, fields), fields: {} }
  }

  private tcpSteps(number: number): Omit<Step, 'pause'>[] {
    const ends = this.tcp[number]
    const here = `192.0.2.3:${6000 + number}`
    const mapped = `198.51.100.50:${6000 + number}`
    const there = `${WORLD}:${80 + number}`
    const client = (flags: string, payload = 0, extra = {}): Omit<Step, 'pause'> => ({
      from: 0,
      frame: tcp(here, there, { flags, seq: ends.client, ack: Math.max(0, ends.server), payload, ...extra }),
      fields: {}
    })
    const server = (flags: string, payload = 0): Omit<Step, 'pause'> => ({
      from: 2,
      frame: tcp(there, mapped, { flags, seq: ends.server, ack: ends.client, payload }),
      fields: {}
    })
    if (ends.client < 0) {
      ends.client = this.random(0x7fff_ffff)
      const steps = [{ from: 0, frame: tcp(here, there, { flags: 'S', seq: ends.client }), fields: {} }]
      ends.client++
      ends.server = this.random(0x7fff_ffff)
      steps.push(server('SA'))
      ends.server++
      return [...steps, client('A')]
    }
    const what = this.random(20)
    if (what === 0) {
      const steps = [client('FA')]
      ends.client++
      steps.push(server('FA'))
      ends.server++
      steps.push(client('A'))
      ends.client = -1
      return steps
    }
    if (what === 1) {
      const steps = [client('R')]
      ends.client = -1
      return steps
    }
    if (what === 2) return [server('A', 0), server('A', 0), server('A', 0)]
    const payload = this.random(200)
    const isClient = this.random(2) === 0
    const step = isClient ? client('PA', payload) : server('PA', payload)
    if (isClient) ends.client += payload
    else ends.server += payload
    return [step]
  }

  /** Now and then something that needs care. */
  private spoil(step: Omit<Step, 'pause'>): Omit<Step, 'pause'> {
    const { from } = step
    let frame: Uint8Array = step.frame.slice()
    let fields: TestFrameFields = {}
    switch (this.random(24)) {
      case 0: // padded
        frame = Uint8Array.from([...frame, ...new Array(this.random(20)).fill(0xee)])
        break
      case 1: // damaged header
        frame[24] ^= 1 << this.random(8)
        break
      case 2: // for somebody else: a bridge floods
        frame[5] = 0x77
        break
      case 3: // partial checksum
        fields = partial(frame)
        break
      case 4:
        fields = { flags: FrameFlag.captured }
        break
      case 5: // a spoofed source
        frame = step.from === 0 ? udp('192.0.2.130:5000', `${WORLD}:9000`) : udp('192.0.2.2:9000', '198.51.100.50:5000')
        break
      case 6: // cut short
        frame = frame.slice(0, this.random(frame.length))
        break
      case 7: // out of its window, if it is TCP
        if (frame[23] === 6) frame = tcp('192.0.2.3:6000', `${WORLD}:80`, { flags: 'A', seq: this.random(0x7fff_ffff), ack: 1 })
        break
      default:
    }
    return { from, frame, fields }
  }
}

/** Makes the frame's transport checksum partial. */
function partial(frame: Uint8Array): TestFrameFields {
  const offset = frame[23] === 6 ? 16 : 6
  let sum = frame[23] + frame.length - 34
  for (let at = 26; at < 34; at += 2) sum += (frame[at] << 8) | frame[at + 1]
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  frame[34 + offset] = sum >>> 8
  frame[35 + offset] = sum & 0xff
  return { flags: FrameFlag.csum, csumStart: 34, csumOffset: offset }
}

for (const seed of seeds) {
  test(`${STEPS} steps of random talks come out alike, seed ${seed}`, (context) => {
    const talks = new Talks(seed)
    const [fast, slow] = [true, false].map((fastPath) => new NatBench({ fastPath }))
    for (let number = 0; number < STEPS; number++) {
      for (const step of talks.next()) {
        const outputs = [fast, slow].map((bench) => {
          const out = bench.sendWith(step.from, step.frame, step.fields)
          bench.advance(step.pause)
          return out.map(({ port, bytes, flags, csumStart }) => ({ port, bytes: Buffer.from(bytes).toString('hex'), flags, csumStart }))
        })
        assert.deepEqual(outputs[0], outputs[1], `step ${number}: ${Buffer.from(step.frame).toString('hex')} by ${step.from}`)
      }
    }
    const describe = (bench: NatBench): unknown[] =>
      bench.flows().map(({ number, timeout, assured, ...flow }) => ({ ...flow, assured: flow.protocol === 'udp' || assured }))
    assert.deepEqual(describe(fast), describe(slow))
    assert.deepEqual(fast.counters('nat').drops, slow.counters('nat').drops)
    const { fastFrames, txFrames } = fast.counters('nat').counters
    context.diagnostic(`${fastFrames} of ${txFrames} frames by the fast path`)
    assert.ok(fastFrames > txFrames / 5)
    assert.equal(slow.counters('nat').counters['fastFrames'], 0)
    assert.equal(fast.engine.frames.inUse, 0)
  })
}

describe('the fast path is not taken', () => {
  const warm = (): NatBench => {
    const bench = new NatBench()
    for (let i = 0; i < 3; i++) {
      bench.send(0, udp('192.0.2.2:5000', `${WORLD}:53`, { payload: 100 }))
      bench.send(2, udp(`${WORLD}:53`, '198.51.100.50:5000', { payload: 100 }))
    }
    return bench
  }
  /** Frames that the router forwards because of one more. */
  const routed = (bench: NatBench, frame: Uint8Array): number => {
    const before = bench.router.forwarded
    bench.sendRaw(0, frame)
    return bench.router.forwarded - before
  }
  const again = (fields = {}): Uint8Array => udp('192.0.2.2:5000', `${WORLD}:53`, { payload: 100, ...fields })

  test('control: it is taken', () => assert.equal(routed(warm(), again()), 0))

  test('a second later', () => {
    const bench = warm()
    bench.advance(1.1)
    assert.equal(routed(bench, again()), 1)
    assert.equal(routed(bench, again()), 0)
  })

  test('after an update', () => {
    const bench = warm()
    bench.change({ local: ['198.51.100.50'] })
    assert.equal(routed(bench, again()), 1)
  })

  test('for a frame longer than any before', () => {
    const bench = warm()
    assert.equal(routed(bench, again({ payload: 101 })), 1)
    assert.equal(routed(bench, again({ payload: 101 })), 0)
  })

  test('for IP options, and for the last hop', () => {
    const bench = warm()
    assert.equal(routed(bench, again({ ipOptions: Uint8Array.of(1, 1, 1, 0) })), 1)
    const [line] = bench.send(0, again({ ttl: 1 }))
    assert.match(line, /^0: error 11\/0/)
  })

  test('for a frame that a bridge has flooded', () => {
    const bench = warm()
    assert.deepEqual(bench.send(0, again({ destinationMac: '02:cc:00:00:00:77' })), [])
    assert.equal(bench.router.consumed, 1)
    assert.notEqual(ROUTER_MAC, '02:cc:00:00:00:77')
  })
})

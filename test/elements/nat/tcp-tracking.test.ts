// TCP connections as the NAT sees them: states, windows, resets, reuse.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Conntrack, FlowStatus, TCP_WORDS } from '../../../src/elements/nat/conntrack.ts'
import { InternedAddresses } from '../../../src/elements/nat/interned-addresses.ts'
import { nextTcpState, TcpKind, TcpState, tcpFlagsValid } from '../../../src/elements/nat/tcp-states.ts'
import { TcpTracker, TcpVerdict } from '../../../src/elements/nat/tcp-tracker.ts'
import { readTimeouts } from '../../../src/elements/nat/timeouts.ts'
import { seededRandom } from '../../wire/seeded-random.ts'
import { NatBench } from './nat-bench.ts'
import { type TcpFields, tcp } from './packets.ts'

const HERE = '192.0.2.2:40001'
const THERE = '203.0.113.200:80'
const OUTSIDE = '198.51.100.50:40001'

/** A connection through the NAT; sequence numbers of the client count from 1000, of the server from 9000. */
class Talk {
  readonly bench: NatBench

  constructor(bench = new NatBench()) {
    this.bench = bench
  }

  /** True when the segment came out on the other side. */
  client(flags: string, seq: number, ack: number, fields: TcpFields = {}): boolean {
    return this.bench.send(0, tcp(HERE, THERE, { flags, seq: 1000 + seq, ack: ack < 0 ? 0 : 9000 + ack, ...fields })).length === 1
  }

  server(flags: string, seq: number, ack: number, fields: TcpFields = {}): boolean {
    return this.bench.send(2, tcp(THERE, OUTSIDE, { flags, seq: 9000 + seq, ack: 1000 + ack, ...fields })).length === 1
  }

  open(client: TcpFields = {}, server: TcpFields = {}): this {
    assert.ok(this.client('S', 0, -1, client))
    assert.ok(this.server('SA', 0, 1, server))
    assert.ok(this.client('A', 1, 1))
    return this
  }

  get state(): string | null {
    return this.bench.flows()[0]?.state ?? null
  }

  get timeout(): number {
    return Math.round(this.bench.flows()[0].timeout)
  }
}

test('a connection from SYN to TIME_WAIT, with the time-outs of Linux', () => {
  const talk = new Talk()
  const steps: [() => boolean, string, number][] = [
    [() => talk.client('S', 0, -1), 'SYN_SENT', 120],
    [() => talk.server('SA', 0, 1), 'SYN_RECV', 60],
    [() => talk.client('A', 1, 1), 'ESTABLISHED', 432_000],
    [() => talk.client('PA', 1, 1, { payload: 10 }), 'ESTABLISHED', 300],
    [() => talk.server('A', 1, 11), 'ESTABLISHED', 432_000],
    [() => talk.client('FA', 11, 1), 'FIN_WAIT', 120],
    [() => talk.server('A', 1, 12), 'CLOSE_WAIT', 60],
    [() => talk.server('FA', 1, 12), 'LAST_ACK', 30],
    [() => talk.client('A', 12, 2), 'TIME_WAIT', 120]
  ]
  for (const [step, state, timeout] of steps) {
    assert.ok(step(), `to ${state}`)
    assert.deepEqual([talk.state, talk.timeout], [state, timeout])
  }
  talk.bench.advance(121)
  assert.equal(talk.bench.flows().length, 0)
})

test('both ends open at once', () => {
  const talk = new Talk()
  assert.ok(talk.client('S', 0, -1))
  assert.ok(talk.bench.send(2, tcp(THERE, OUTSIDE, { flags: 'S', seq: 9000 })).length === 1)
  assert.equal(talk.state, 'SYN_SENT2')
  assert.ok(talk.client('SA', 0, 1))
  assert.ok(talk.server('SA', 0, 1))
  assert.ok(talk.client('A', 1, 1))
  assert.ok(talk.server('A', 1, 1))
  assert.equal(talk.state, 'ESTABLISHED')
})

test('picked up in mid-stream, by either side, and refused when told so', () => {
  const talk = new Talk()
  assert.ok(talk.client('PA', 500, 700, { payload: 5 }))
  assert.deepEqual([talk.state, talk.timeout], ['ESTABLISHED', 300], 'not yet answered')
  assert.ok(talk.server('A', 700, 505))
  assert.ok(talk.client('A', 505, 701))
  assert.deepEqual([talk.state, talk.timeout], ['ESTABLISHED', 432_000])
  const strict = new Talk(new NatBench({ tcpLoose: false }))
  assert.ok(!strict.client('PA', 500, 700))
  assert.deepEqual(strict.bench.drops(), { 'nat.invalidState': 1 })
})

describe('resets', () => {
  test('the answer to a SYN ends the flow with the reset itself', () => {
    const talk = new Talk()
    assert.ok(talk.client('S', 0, -1))
    assert.ok(talk.server('RA', 0, 1, { seq: 0 }))
    assert.deepEqual(talk.bench.flows(), [])
    assert.ok(talk.client('S', 50, -1), 'the same ports again')
  })

  test('of an established connection: only the exact number closes it', () => {
    const talk = new Talk().open()
    assert.ok(talk.server('R', 400, 0), 'in the window: passes, a challenge may follow')
    assert.equal(talk.state, 'ESTABLISHED')
    assert.ok(!talk.server('R', -50, 0), 'below what was acknowledged: a forgery')
    assert.deepEqual(talk.bench.drops(), { 'nat.outOfWindow': 1 })
    assert.ok(talk.server('R', 1, 0))
    assert.deepEqual([talk.state, talk.timeout], ['CLOSE', 10])
  })

  test('with a wrong checksum closes nothing', () => {
    const talk = new Talk().open()
    const frame = tcp(THERE, OUTSIDE, { flags: 'R', seq: 9001 })
    frame[50] ^= 1
    assert.deepEqual(talk.bench.send(2, frame), [])
    assert.deepEqual(talk.bench.drops(), { 'nat.badChecksum': 1 })
    assert.equal(talk.state, 'ESTABLISHED')
  })
})

describe('windows', () => {
  test('data beyond the window and acknowledgments of what was never sent are dropped', () => {
    const talk = new Talk().open()
    assert.ok(!talk.server('PA', 300_000, 1, { payload: 10 }))
    assert.ok(!talk.server('A', 1, 5000))
    assert.deepEqual(talk.bench.drops(), { 'nat.outOfWindow': 2 })
    assert.ok(talk.server('PA', 1, 1, { payload: 10 }), 'the connection itself goes on')
  })

  test('a late segment passes', () => {
    const talk = new Talk().open()
    assert.ok(talk.client('PA', 1, 1, { payload: 1000 }))
    assert.ok(talk.server('A', 1, 1001))
    assert.ok(talk.client('PA', -100_000, 1, { payload: 10 }))
  })

  test('are scaled when both ends said so, and only then', () => {
    const scaled = { options: { windowScale: 7 } }
    const both = new Talk().open(scaled, scaled)
    assert.ok(both.client('A', 1, 1, { window: 4096 }))
    assert.ok(both.server('PA', 200_000, 1, { payload: 10 }), '4096 << 7 were offered')
    const one = new Talk().open(scaled)
    assert.ok(one.client('A', 1, 1, { window: 4096 }))
    assert.ok(!one.server('PA', 200_000, 1, { payload: 10 }))
  })

  test('are not judged when told so', () => {
    const talk = new Talk(new NatBench({ tcpLiberal: true })).open()
    assert.ok(talk.server('PA', 300_000, 1, { payload: 10 }))
  })

  test('a segment that is repeated without an answer shortens the time-out', () => {
    const talk = new Talk().open()
    for (let i = 0; i < 4; i++) assert.ok(talk.client('A', 1, 1, { payload: 0 }))
    assert.equal(talk.timeout, 300)
  })
})

test('a SYN in TIME_WAIT opens the connection anew', () => {
  const talk = new Talk().open()
  talk.client('FA', 1, 1)
  talk.server('FA', 1, 2)
  talk.client('A', 2, 2)
  assert.equal(talk.state, 'TIME_WAIT')
  const { number } = talk.bench.flows()[0]
  assert.ok(talk.client('S', 100_000, -1))
  assert.equal(talk.state, 'SYN_SENT')
  assert.equal(talk.bench.flows().length, 1, `in place of flow ${number}`)
})

test('the table: a SYN/ACK never begins anything, RST closes everything, every combination of flags is one row', () => {
  for (let state = 0; state < 10; state++) {
    for (const direction of [0, 1]) {
      const afterReset = nextTcpState(direction, TcpKind.rst, state)
      assert.equal(afterReset, state === TcpState.none ? TcpState.invalid : TcpState.close)
      assert.equal(nextTcpState(direction, TcpKind.none, state), TcpState.invalid)
    }
  }
  assert.equal(nextTcpState(0, TcpKind.synAck, TcpState.none), TcpState.invalid)
  assert.deepEqual([0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14, 0xc2].map(tcpFlagsValid), new Array(8).fill(true))
  assert.deepEqual([0x00, 0x01, 0x03, 0x06, 0x05, 0x3f, 0x20, 0x08].map(tcpFlagsValid), new Array(8).fill(false))
})

test('a SYN that begins a flow at once leaves the words that it leaves step by step', () => {
  const random = seededRandom(19)
  for (let i = 0; i < 2000; i++) {
    const options = { maxSegmentSize: 1460, ...(random(2) === 0 && { windowScale: random(16) }), sackPermitted: random(2) === 0 }
    const fields = { seq: random(2 ** 32), ack: random(3) * 77, window: [0, 1, random(65_536)][random(3)], payload: random(3) * 5, options }
    const frame = tcp(HERE, THERE, { flags: ['S', 'SU', 'SP'][random(3)], ...fields })
    // ECE and CWR, and what is no option at all.
    frame[47] |= random(4) << 6
    if (random(4) === 0) frame[54 + random(8)] = random(256)
    const timeouts = readTimeouts(random(4) === 0 ? { tcpSynSent: 600 } : {})
    const policy = { loose: true, liberal: random(2) === 0, maxRetrans: random(2) * 3 }
    const [whole, steps] = [0, 1].map(() => {
      const flows = new Conntrack(4, timeouts, new InternedAddresses(1), () => 1)
      // As the flow before has left them.
      flows.tcp.fill(0x5a5a5a5a)
      flows.status[1] = FlowStatus.used
      return { flows, tracker: new TcpTracker(flows, policy) }
    })
    whole.tracker.beginWithSyn(1, frame, 34, frame.length)
    steps.tracker.begin(1, frame, 34, frame.length)
    assert.equal(steps.tracker.follow(1, 0, frame, 34, frame.length), TcpVerdict.pass)
    const words = ({ flows }: { flows: Conntrack }): number[] => [flows.status[1], ...flows.tcp.subarray(TCP_WORDS, 2 * TCP_WORDS)]
    assert.deepEqual(words(whole), words(steps), JSON.stringify(fields))
  }
})

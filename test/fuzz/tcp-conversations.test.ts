// TCP to the DNS service from peers that know the sequence numbers: each conversation begins properly and then goes wrong.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from 'dns-packet'
import { Random } from '../../src/engine/random.ts'
import { fillTransport } from '../../src/wire/checksum.ts'
import { fillIpv4Checksum } from '../../src/wire/ipv4.ts'
import { TcpFlag, tcpAcknowledgment, tcpDestinationPort, tcpFlags, tcpSequence } from '../../src/wire/tcp.ts'
import { FuzzFrame } from './fuzz-frame.ts'
import { FuzzNetwork } from './fuzz-network.ts'
import { fuzzSeed } from './fuzz-seed.ts'
import { assertWhole, Station } from './station.ts'

const CONVERSATIONS = process.env.NETLOOM_FUZZ === 'long' ? 200_000 : 20_000
const SEGMENTS_MAX = 12
const SERVICE = '02427f00000b'
const US = '0242c0000204'
const FLAGS = [TcpFlag.ack, TcpFlag.ack, TcpFlag.ack | TcpFlag.psh, TcpFlag.ack | TcpFlag.fin, TcpFlag.rst, TcpFlag.syn, 0xff, 0]

const seed = fuzzSeed()
const message = encode({ type: 'query', id: 7, questions: [{ type: 'A', name: 'echo' }] })
const query = Buffer.concat([Buffer.from([0, message.length]), message])

/** One peer: its next sequence number, and what the service expects and has sent. */
class Peer {
  sequence: number
  acknowledgment = 0
  /** Sequence number of the service's SYN; null before. */
  opened: number | null = null
  private readonly network: FuzzNetwork
  private readonly frame = new FuzzFrame()
  private readonly port: number
  /** What acknowledgments of our SYNs say. */
  private readonly afterSyn = new Set<number>()

  constructor(network: FuzzNetwork, port: number, sequence: number) {
    this.network = network
    this.port = port
    this.sequence = sequence
  }

  /** A segment with right checksums; what comes back moves `acknowledgment`. */
  send(flags: number, sequence: number, acknowledgment: number, window: number, data: Uint8Array, options = ''): void {
    if ((flags & TcpFlag.syn) !== 0) this.afterSyn.add((sequence + 1) | 0)
    const { frame } = this
    const header = Buffer.from(`${SERVICE}${US}0800450000000000000040060000c00002047f00000b`, 'hex')
    const extra = Buffer.from(options, 'hex')
    frame.set(Buffer.concat([header, Buffer.alloc(20), extra, data]))
    const { bytes, view, length } = frame
    view.setUint16(16, length - 14)
    view.setUint16(34, this.port)
    view.setUint16(36, 53)
    view.setInt32(38, sequence | 0)
    view.setInt32(42, acknowledgment | 0)
    view.setUint8(46, (5 + extra.length / 4) << 4)
    view.setUint8(47, flags)
    view.setUint16(48, window)
    fillIpv4Checksum(bytes, 14)
    fillTransport(bytes, 34, length, 14, 6, 50)
    this.network.inject('tap-a', frame)
  }

  /** Looks at a segment from the service. */
  hear(segment: Uint8Array): void {
    if (tcpDestinationPort(segment, 34) !== this.port) return // to an earlier peer
    assertWhole(segment)
    const flags = tcpFlags(segment, 34)
    if ((flags & TcpFlag.syn) !== 0) {
      this.opened = tcpSequence(segment, 34)
      this.acknowledgment = (this.opened + 1) | 0
      assert.ok(this.afterSyn.has(tcpAcknowledgment(segment, 34)), 'a SYN of ours is acknowledged')
      return
    }
    const end = (tcpSequence(segment, 34) + segment.length - 54) | 0
    if (this.opened !== null && ((end - this.acknowledgment) | 0) > 0 && (flags & TcpFlag.rst) === 0) this.acknowledgment = end
  }
}

function converse(network: FuzzNetwork, random: Random, number: number): void {
  const peer = new Peer(network, 1024 + (number % 60_000), random.int32())
  const hear = (ns: number): void => {
    network.advance(ns, (device, bytes) => {
      if (device === 'tap-a' && bytes.length >= 54 && bytes[12] === 8 && bytes[13] === 0 && bytes[23] === 6) peer.hear(bytes)
    })
  }
  const options = ['', '020405b4', '02040000', '020400010101', '0204ffff', '01010100'][random.below(6)]
  peer.send(TcpFlag.syn, peer.sequence, 0, random.below(65_536), new Uint8Array(0), options.padEnd(Math.ceil(options.length / 8) * 8, '0'))
  peer.sequence = (peer.sequence + 1) | 0
  hear(1000)
  if (number % 16 !== 0) peer.send(TcpFlag.ack, peer.sequence, peer.acknowledgment, 65_535, new Uint8Array(0))
  for (let count = random.below(SEGMENTS_MAX); count > 0; count--) {
    const data = [query, query.subarray(0, random.below(query.length)), new Uint8Array(random.below(1400)), new Uint8Array(0)][
      random.below(4)
    ]
    const flags = FLAGS[random.below(FLAGS.length)]
    // Mostly what is expected, else off by a little, or by half the space.
    const off = (): number => [0, 0, 0, 1, -1, random.below(3000) - 1500, 0x7fffffff, random.int32()][random.below(8)]
    peer.send(flags, peer.sequence + off(), peer.acknowledgment + off(), [0, 1, 100, 65_535][random.below(4)], data)
    if (flags === TcpFlag.ack || flags === (TcpFlag.ack | TcpFlag.psh)) peer.sequence = (peer.sequence + data.length) | 0
    hear([0, 1000, 1e6, 300e6, 2e9, 70e9][random.below(100) < 95 ? random.below(3) : random.below(6)])
  }
}

test(`${CONVERSATIONS} TCP conversations that go wrong, seed ${seed}`, (context) => {
  context.diagnostic(`NETLOOM_FUZZ_SEED=${seed} repeats this run`)
  const network = new FuzzNetwork(seed)
  const station = new Station(network)
  for (let number = 0; number < CONVERSATIONS; number++) {
    try {
      converse(network, new Random(`${seed}/${number}`), number)
      if (number % 2000 !== 1999) continue
      network.rest()
      station.check()
    } catch (error) {
      throw new Error(`seed ${seed}, conversation ${number}: ${(error as Error).message}`, { cause: error })
    }
  }
  network.rest()
  station.check()
  const { tcpQueries, hits } = network.counters().get('dns')!.counters
  context.diagnostic(`${tcpQueries} queries by TCP, ${hits} answers from tables`)
  assert.ok(tcpQueries > CONVERSATIONS / 40, `only ${tcpQueries} queries came through: the test does not reach what it tests`)
  network.close()
})

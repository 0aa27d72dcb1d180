/**
 * An honest station on the cable of tap-a: what it asks must be answered, whatever was said before, and well-formed to the
 * last checksum. Every exchange begins with ARP or a neighbor solicitation, which puts right what hostile frames spoiled.
 */
import assert from 'node:assert/strict'
import { decode, encode } from 'dns-packet'
import { pseudoHeaderSum, verifyTransport } from '../../src/wire/checksum.ts'
import { checkIpv4, fillIpv4Checksum, ipv4End, ipv4Payload, ipv4Protocol, verifyIpv4Checksum } from '../../src/wire/ipv4.ts'
import { tcpSequence } from '../../src/wire/tcp.ts'
import { fillUdpChecksum } from '../../src/wire/udp.ts'
import { FuzzFrame } from './fuzz-frame.ts'
import { ECHO_PORT, type FuzzNetwork } from './fuzz-network.ts'
import { asSuperFrame } from './seed-frames.ts'

const US = '0242c0000204'
const ECHO = '0242c0000202'
const OTHER = '0242c0000205'
const SERVICE = '02427f00000b'
const PAYLOAD = 20_000

export class Station {
  private readonly network: FuzzNetwork
  private readonly frame = new FuzzFrame()

  constructor(network: FuzzNetwork) {
    this.network = network
  }

  check(): void {
    this.askMac()
    this.askUdpEcho()
    this.askName()
    this.sendSuperFrame()
    this.hostsTalk()
  }

  /** Sends a frame by tap-a; what comes out of `device` to `to`. */
  private exchange(hex: string, device: string, to: string): Uint8Array[] {
    this.frame.set(Buffer.from(hex, 'hex'))
    return this.send(device, to)
  }

  private send(device: string, to: string): Uint8Array[] {
    const replies: Uint8Array[] = []
    this.network.inject('tap-a', this.frame)
    this.network.advance(1e6, (name, bytes) => {
      if (name === device && Buffer.from(bytes.subarray(0, 6)).toString('hex') === to) replies.push(bytes.slice())
    })
    return replies
  }

  private askMac(): void {
    const arp = (operation: string): string => `080600010800060400${operation}`
    const [reply] = this.exchange(`ffffffffffff${US}${arp('01')}${US}c0000204000000000000c0000202`, 'tap-a', US)
    assert.equal(Buffer.from(reply ?? []).toString('hex'), `${US}${ECHO}${arp('02')}${ECHO}c0000202${US}c0000204`)
  }

  private askUdpEcho(): void {
    const data = Buffer.from('are you well?')
    const replies = this.udp(ECHO, 'c0000202', ECHO_PORT, data)
    assert.equal(replies.length, 1, 'answers of the UDP echo')
    assert.deepEqual(Buffer.from(payloadOf(replies[0])), data)
  }

  private askName(): void {
    const query = encode({ type: 'query', id: 4711, questions: [{ type: 'A', name: 'echo' }] })
    const replies = this.udp(SERVICE, '7f00000b', 53, query)
    assert.equal(replies.length, 1, 'answers of the DNS service')
    const answer = decode(Buffer.from(payloadOf(replies[0])))
    assert.deepEqual([answer.id, answer.answers?.map((record) => 'data' in record && record.data)], [4711, ['192.0.2.2']])
  }

  private udp(mac: string, address: string, port: number, data: Uint8Array): Uint8Array[] {
    const { frame } = this
    const header = `${mac}${US}08004500000000000000401100${'00'}c0000204${address}`
    frame.set(Buffer.concat([Buffer.from(header, 'hex'), Buffer.alloc(8), data]))
    const { bytes, view, length } = frame
    view.setUint16(16, length - 14)
    view.setUint16(34, 40_000)
    view.setUint16(36, port)
    view.setUint16(38, length - 34)
    fillUdpChecksum(bytes, 34, 14)
    fillIpv4Checksum(bytes, 14)
    return this.send('tap-a', US)
  }

  /** A super-frame to a device that cannot segment arrives as segments that are right in every field and lose no byte. */
  private sendSuperFrame(): void {
    const { frame } = this
    // tap-b must be known, or the super-frame is flooded; it says hello to tap-a.
    frame.set(Buffer.from(`${US}${OTHER}88b5`, 'hex'))
    this.network.inject('tap-b', frame)
    this.network.settle()
    const header = `${OTHER}${US}0800450000000007400040060000c0000204c0000205c350138900000100000002005018ffff00000000`
    const payload = Uint8Array.from({ length: PAYLOAD }, (_, index) => index * 7)
    frame.set(Buffer.concat([Buffer.from(header, 'hex'), payload]))
    const { bytes, view, length } = frame
    view.setUint16(16, length - 14)
    fillIpv4Checksum(bytes, 14)
    view.setUint16(50, pseudoHeaderSum(bytes, 14, 6, length - 34))
    asSuperFrame(frame)
    const segments = this.send('tap-b', OTHER)
    const size = frame.gsoSize
    assert.equal(segments.length, Math.ceil(PAYLOAD / size))
    segments.forEach((segment, index) => {
      assertWhole(segment)
      const at = index * size
      assert.equal(tcpSequence(segment, 34), 256 + at)
      assert.deepEqual(segment.subarray(54), payload.subarray(at, at + size))
    })
  }

  /** The hosts' own caches were lied to: the first try heals them, the second must succeed. */
  private hostsTalk(): void {
    for (const address of ['192.0.2.2', '192.0.2.1', '2001:db8::2', '2001:db8::1']) {
      this.network.command('judge', 'ping', { address, count: 6 })
      const { sent, received } = this.network.command<{ sent: number; received: number }>('judge', 'ping', { address, count: 2 })
      assert.deepEqual([address, received], [address, sent])
    }
    const { addresses } = this.network.command<{ addresses: string[] }>('judge', 'resolve', { name: 'echo', family: 4 })
    assert.deepEqual(addresses, ['192.0.2.2'])
  }
}

/** IPv4 with UDP or TCP, lengths and checksums right. */
export function assertWhole(frame: Uint8Array): void {
  assert.ok(checkIpv4(frame, 14, frame.length), 'IPv4 header')
  assert.ok(verifyIpv4Checksum(frame, 14), 'IPv4 checksum')
  assert.equal(ipv4End(frame, 14), frame.length, 'total length')
  assert.ok(verifyTransport(frame, ipv4Payload(frame, 14), frame.length, 14, ipv4Protocol(frame, 14)), 'transport checksum')
}

function payloadOf(frame: Uint8Array): Uint8Array {
  assertWhole(frame)
  return frame.subarray(ipv4Payload(frame, 14) + 8)
}

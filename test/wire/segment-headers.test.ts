import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IPV4_ID, ipv4Id, ipv4TotalLength, verifyIpv4Checksum } from '../../src/wire/ipv4.ts'
import { ipv6PayloadLength } from '../../src/wire/ipv6.ts'
import { setSegmentIp, setSegmentTransport } from '../../src/wire/segment-headers.ts'
import { TcpFlag, tcpFlags, tcpSequence } from '../../src/wire/tcp.ts'
import { udpLength } from '../../src/wire/udp.ts'
import { AT, placed } from './poisoned.ts'
import { realFrames } from './real-frames.ts'

const IP = AT + 14
const { psh, fin, cwr, ack } = TcpFlag

test('IPv4: length, identification with its wrap, and the header checksum', () => {
  const bytes = placed(realFrames.tcpData)
  bytes[IP + IPV4_ID] = bytes[IP + IPV4_ID + 1] = 0xff
  setSegmentIp(bytes, IP, IP + 60, 3)
  assert.deepEqual([ipv4TotalLength(bytes, IP), ipv4Id(bytes, IP)], [60, 2])
  assert.ok(verifyIpv4Checksum(bytes, IP))
  const first = placed(realFrames.tcpData)
  setSegmentIp(first, IP, AT + realFrames.tcpData.length, 0)
  assert.deepEqual(first, placed(realFrames.tcpData), 'the whole as its own only segment is as it was')
})

test('IPv6: the payload length, nothing else', () => {
  const bytes = placed(realFrames.echoRequestIpv6)
  setSegmentIp(bytes, IP, IP + 48, 7)
  assert.equal(ipv6PayloadLength(bytes, IP), 8)
  bytes[IP + 5] = 0x40
  assert.deepEqual(bytes, placed(realFrames.echoRequestIpv6))
})

test('TCP: the sequence goes on, PSH and FIN are of the last segment, CWR of the first', () => {
  const at = IP + 20
  const cut = (done: number, isLast: boolean): number[] => {
    const bytes = placed(realFrames.tcpData)
    bytes[at + 13] = ack | psh | fin | cwr
    const sequence = tcpSequence(bytes, at)
    setSegmentTransport(bytes, at, bytes.length, true, done, isLast)
    return [tcpFlags(bytes, at), (tcpSequence(bytes, at) - sequence) | 0]
  }
  assert.deepEqual(cut(0, false), [ack | cwr, 0])
  assert.deepEqual(cut(1448, false), [ack, 1448])
  assert.deepEqual(cut(2896, true), [ack | psh | fin, 2896])
  assert.deepEqual(cut(0, true), [ack | psh | fin | cwr, 0])
})

test('UDP: the length', () => {
  const bytes = placed(realFrames.udp)
  setSegmentTransport(bytes, IP + 20, IP + 30, false, 100, false)
  assert.equal(udpLength(bytes, IP + 20), 10)
})

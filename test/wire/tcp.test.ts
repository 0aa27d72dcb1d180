import assert from 'node:assert/strict'
import { test } from 'node:test'
import { get32 } from '../../src/wire/big-endian.ts'
import { emitIpv4, IpProtocol } from '../../src/wire/ipv4.ts'
import {
  checkTcp,
  emitTcp,
  fillTcpChecksum,
  findTcpOption,
  parseTcp,
  setTcpAcknowledgment,
  setTcpChecksum,
  setTcpDestinationPort,
  setTcpFlags,
  setTcpSequence,
  setTcpSourcePort,
  setTcpWindow,
  TcpFlag,
  TcpOption,
  type TcpRepr,
  tcpAcknowledgment,
  tcpChecksum,
  tcpDestinationPort,
  tcpFlags,
  tcpHeaderLength,
  tcpMaxSegmentSize,
  tcpSackPermitted,
  tcpSequence,
  tcpSourcePort,
  tcpTimestamps,
  tcpUrgent,
  tcpWindow,
  tcpWindowScale,
  verifyTcpChecksum
} from '../../src/wire/tcp.ts'
import { assertConfined } from './confined.ts'
import { hex } from './hex.ts'
import { AT, emitPoisoned, placed } from './poisoned.ts'

// A SYN as Linux sent it, checksum included: 192.0.2.50 to 198.51.100.10.
const IP = new Uint8Array(20)
emitIpv4({ source: '192.0.2.50', destination: '198.51.100.10', protocol: IpProtocol.tcp, payloadLength: 40 }, IP, 0)
const SYN = hex('9c41 0050 eb6de08e 00000000 a002 faf0 e78a 0000 020405b4 0402 080a 254feb33 00000000 01 03030a')
const SYN_REPR: TcpRepr = {
  sourcePort: 40001,
  destinationPort: 80,
  sequence: 0xeb6de08e,
  acknowledgment: 0,
  flags: TcpFlag.syn,
  window: 64240,
  urgent: 0,
  options: { maxSegmentSize: 1460, sackPermitted: true, timestamps: { value: 625994547, echo: 0 }, windowScale: 10 },
  payload: new Uint8Array(0)
}
const BOTH = Uint8Array.of(...IP, ...SYN)

test('deconstruct', () => {
  const bytes = placed(BOTH)
  const at = AT + 20
  assert.ok(checkTcp(bytes, at, at + 40))
  assert.deepEqual([tcpSourcePort(bytes, at), tcpDestinationPort(bytes, at)], [40001, 80])
  assert.deepEqual([tcpSequence(bytes, at), tcpAcknowledgment(bytes, at)], [0xeb6de08e | 0, 0])
  assert.deepEqual(
    [tcpHeaderLength(bytes, at), tcpFlags(bytes, at), tcpWindow(bytes, at), tcpUrgent(bytes, at)],
    [40, TcpFlag.syn, 64240, 0]
  )
  assert.equal(tcpChecksum(bytes, at), 0xe78a)
  assert.ok(verifyTcpChecksum(bytes, at, at + 40, AT))
  assert.deepEqual([tcpMaxSegmentSize(bytes, at), tcpWindowScale(bytes, at), tcpSackPermitted(bytes, at)], [1460, 10, true])
  assert.equal(get32(bytes, tcpTimestamps(bytes, at)), 625994547)
})

test('construct', () => {
  const emitted = emitPoisoned((bytes, at) => {
    bytes.set(SYN, at)
    for (const i of [0, 2, 4, 8, 14]) bytes.fill(0x5a, at + i, at + i + 2)
    setTcpSourcePort(bytes, at, 40001)
    setTcpDestinationPort(bytes, at, 80)
    setTcpSequence(bytes, at, 0xeb6de08e)
    setTcpAcknowledgment(bytes, at, 0)
    setTcpFlags(bytes, at, TcpFlag.syn)
    setTcpWindow(bytes, at, 64240)
    setTcpChecksum(bytes, at, 0x5a5a)
    fillTcpChecksum(bytes, at, at + 40, at - 20)
    return 40
  }, IP)
  assert.deepEqual(emitted, SYN)
})

test('parse', () => {
  assert.deepEqual(parseTcp(placed(BOTH), AT + 20, AT + 60, AT), SYN_REPR)
  const wrong = placed(BOTH)
  wrong[AT + 25] ^= 1
  assert.equal(parseTcp(wrong, AT + 20, AT + 60, AT), null)
})

test('emit', () => {
  assert.deepEqual(
    emitPoisoned((bytes, at) => emitTcp(SYN_REPR, bytes, at, at - 20), IP),
    SYN
  )
})

test('every combination of options survives emit and parse', () => {
  for (let mask = 0; mask < 16; mask++) {
    const options: TcpRepr['options'] = {}
    if (mask & 1) options.maxSegmentSize = 8960
    if (mask & 2) options.windowScale = 14
    if (mask & 4) options.sackPermitted = true
    if (mask & 8) options.timestamps = { value: 0xffffffff, echo: 0x80000000 }
    const repr: TcpRepr = { ...SYN_REPR, flags: 0xff, acknowledgment: 0xfffffffe, urgent: 7, options, payload: hex('6e65746c6f') }
    const segment = emitPoisoned((bytes, at) => emitTcp(repr, bytes, at, at - 20), IP)
    const packet = Uint8Array.of(...IP, ...segment)
    assert.deepEqual(parseTcp(packet, 20, packet.length, 0), repr, `options ${mask}`)
  }
})

/** A header with these options, placed at AT. */
function withOptions(text: string): Uint8Array {
  const header = hex(`9c41 0050 00000001 00000002 0010 ffff 0000 0000 ${text}`)
  header[12] = (header.length >> 2) << 4
  return placed(header)
}

test('options are found, and malformed ones end the search', () => {
  assert.equal(findTcpOption(withOptions('0101 080a 00000001 00000002'), AT, TcpOption.timestamps), AT + 22)
  assert.equal(findTcpOption(withOptions('0101 080a 00000001 00000002'), AT, TcpOption.noOperation), AT + 20)
  assert.equal(tcpMaxSegmentSize(withOptions('00 0204 0500 0000 00'), AT), -1, 'after the end of options')
  assert.equal(tcpMaxSegmentSize(withOptions('0300 0204 0500 0000'), AT), -1, 'length 0 does not hang')
  assert.equal(tcpMaxSegmentSize(withOptions('0301 0204 0500 0000'), AT), -1, 'length 1')
  assert.equal(tcpMaxSegmentSize(withOptions('01010102'), AT), -1, 'no length byte')
  assert.equal(tcpMaxSegmentSize(withOptions('01010204'), AT), -1, 'cut off by the end of the header')
  assert.equal(tcpWindowScale(withOptions('01010303'), AT), -1, 'one byte beyond the header')
  assert.equal(tcpMaxSegmentSize(withOptions('02030500'), AT), -1, 'a wrong length')
  assert.equal(tcpWindowScale(withOptions('0304 0e00'), AT), -1, 'a wrong length')
  assert.equal(tcpSackPermitted(withOptions('0403 0000'), AT), false, 'a wrong length')
  assert.equal(tcpTimestamps(withOptions('0808 00000001 0000'), AT), -1, 'a wrong length')
})

test('check: the header length', () => {
  for (const [offset, ok] of [
    [0x40, false],
    [0x50, true],
    [0xa0, true],
    [0xb0, false]
  ] as const) {
    const bytes = placed(SYN)
    bytes[AT + 12] = offset
    assert.equal(checkTcp(bytes, AT, AT + 40), ok, offset.toString(16))
  }
})

test('nothing outside is read at any length', () => {
  const accepted = assertConfined((bytes, at, end) => {
    const segment = at + 20
    if (segment > end || bytes[at] >> 4 !== 4 || !checkTcp(bytes, segment, end)) return null
    const timestamps = tcpTimestamps(bytes, segment)
    return [
      parseTcp(bytes, segment, end, at),
      tcpMaxSegmentSize(bytes, segment),
      tcpWindowScale(bytes, segment),
      tcpSackPermitted(bytes, segment),
      timestamps < 0 ? null : get32(bytes, timestamps + 4),
      tcpUrgent(bytes, segment),
      bytes.slice(segment, segment + tcpHeaderLength(bytes, segment))
    ]
  }, BOTH)
  assert.ok(accepted > 300)
})

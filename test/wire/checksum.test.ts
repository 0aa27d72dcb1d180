import assert from 'node:assert/strict'
import { test } from 'node:test'
import { get16, get32, put16, put32 } from '../../src/wire/big-endian.ts'
import {
  checksum,
  checksumOf,
  completeChecksum,
  completeChecksumView,
  fillTransport,
  fold,
  nonZeroChecksum,
  onesComplementSum,
  onesComplementSumView,
  pseudoHeaderSum,
  pseudoHeaderSumIpv4,
  updateChecksum16,
  updateChecksum32,
  updatePartial16,
  updatePartial32,
  verifyTransport
} from '../../src/wire/checksum.ts'
import { hex } from './hex.ts'
import { seededRandom } from './seeded-random.ts'

/** The definition, one word at a time with the carry brought round at once: nothing shared with the code under test. */
function naiveSum(bytes: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) {
    sum += bytes[i] * 256 + (i + 1 < bytes.length ? bytes[i + 1] : 0)
    if (sum > 0xffff) sum -= 0xffff
  }
  return sum
}

test('RFC 1071 section 3: the worked example', () => {
  const bytes = hex('0001 f203 f4f5 f6f7')
  assert.equal(onesComplementSum(bytes, 0, 8, 0), 0xddf2)
  assert.equal(onesComplementSumView(new DataView(bytes.buffer), 0, 8, 0), 0xddf2)
  assert.equal(checksum(bytes, 0, 8), 0x220d)
})

test('both sums equal the definition at every alignment and length', () => {
  const random = seededRandom(1071)
  const chunk = new Uint8Array(new SharedArrayBuffer(4096))
  const view = new DataView(chunk.buffer)
  for (let i = 0; i < chunk.length; i++) chunk[i] = random(256)
  for (let length = 0; length < 300; length++) {
    for (let at = 0; at < 4; at++) {
      const expected = naiveSum(chunk.subarray(at, at + length))
      assert.equal(onesComplementSum(chunk, at, length, 0), expected, `bytes at ${at}, length ${length}`)
      assert.equal(onesComplementSumView(view, at, length, 0), expected, `view at ${at}, length ${length}`)
    }
  }
})

test('the largest slot full of ones, on top of the largest initial sum, does not overflow', () => {
  for (const length of [65535, 65536, 69632]) {
    const chunk = new Uint8Array(length).fill(0xff)
    const expected = fold(naiveSum(chunk) + 0xffff)
    assert.equal(onesComplementSum(chunk, 0, length, 0xffff), expected)
    assert.equal(onesComplementSumView(new DataView(chunk.buffer), 0, length, 0xffff), expected)
  }
})

test('a sum can be taken in pieces when only the last is odd', () => {
  const bytes = Uint8Array.from({ length: 101 }, (_, i) => i * 37)
  const whole = onesComplementSum(bytes, 0, 101, 0)
  assert.equal(onesComplementSum(bytes, 40, 61, onesComplementSum(bytes, 0, 40, 0)), whole)
  assert.equal(fold(onesComplementSum(bytes, 0, 40, 0) + onesComplementSum(bytes, 40, 61, 0)), whole)
})

test('fold brings every carry round', () => {
  assert.equal(fold(0), 0)
  assert.equal(fold(0xffff), 0xffff)
  assert.equal(fold(0x10000), 1)
  assert.equal(fold(0x1ffff), 1)
  assert.equal(fold(0xffffffff), 0xffff)
})

/** A random even-length packet and two-byte or four-byte field in it that is not its checksum (offset 0). */
function updateCases(count: number, width: 2 | 4, check: (bytes: Uint8Array, fieldAt: number, value: number) => void): void {
  const random = seededRandom(1624 + width)
  for (let i = 0; i < count; i++) {
    const bytes = new Uint8Array(2 * (4 + random(20)))
    for (let j = 2; j < bytes.length; j++) bytes[j] = random(256)
    // Words of 0 and 0xffff are where the two zeros of ones-complement arithmetic go wrong, so they come often.
    const fieldAt = 2 + 2 * random((bytes.length - 2 - width) / 2 + 1)
    const extreme = [0, -1, random(2 ** 32), random(2 ** 32)]
    if (random(4) === 0) bytes.fill(random(2) * 255, fieldAt, fieldAt + width)
    check(bytes, fieldAt, extreme[random(4)])
  }
}

test('RFC 1624: a full checksum updated equals one recomputed, 16-bit fields, 10,000 cases', () => {
  updateCases(10_000, 2, (bytes, at, value) => {
    const before = checksum(bytes, 0, bytes.length)
    const old = get16(bytes, at)
    put16(bytes, at, value)
    assert.equal(updateChecksum16(before, old, value & 0xffff), checksum(bytes, 0, bytes.length))
  })
})

test('RFC 1624: a full checksum updated equals one recomputed, 32-bit fields, 10,000 cases', () => {
  updateCases(10_000, 4, (bytes, at, value) => {
    const before = checksum(bytes, 0, bytes.length)
    const old = get32(bytes, at)
    put32(bytes, at, value)
    assert.equal(updateChecksum32(before, old, value), checksum(bytes, 0, bytes.length))
    assert.equal(updateChecksum32(before, old >>> 0, value >>> 0), checksum(bytes, 0, bytes.length), 'unsigned arguments')
  })
})

test('RFC 1624 section 4: the example where equation 2 fails', () => {
  assert.equal(updateChecksum16(0xdd2f, 0x5555, 0x3285), 0x0000)
})

test('a partial checksum has the other sign: 10,000 cases of each width', () => {
  updateCases(10_000, 2, (bytes, at, value) => {
    const before = onesComplementSum(bytes, 0, bytes.length, 0)
    const old = get16(bytes, at)
    put16(bytes, at, value)
    assert.equal(updatePartial16(before, old, value & 0xffff), onesComplementSum(bytes, 0, bytes.length, 0))
  })
  updateCases(10_000, 4, (bytes, at, value) => {
    const before = onesComplementSum(bytes, 0, bytes.length, 0)
    const old = get32(bytes, at)
    put32(bytes, at, value)
    assert.equal(updatePartial32(before, old, value), onesComplementSum(bytes, 0, bytes.length, 0))
  })
})

test('NAT on a partial checksum, then completion, equals the full checksum of the rewritten packet', () => {
  const random = seededRandom(4)
  for (let i = 0; i < 10_000; i++) {
    const packet = new Uint8Array(20 + 8 + random(40))
    for (let j = 0; j < packet.length; j++) packet[j] = random(256)
    packet[0] = 0x45
    const length = packet.length - 20
    put16(packet, 26, pseudoHeaderSum(packet, 0, 17, length))
    const source = random(2 ** 32) | 0
    put16(packet, 26, updatePartial32(get16(packet, 26), get32(packet, 12), source))
    put32(packet, 12, source)
    put16(packet, 20, random(65536))
    assert.ok(completeChecksum(packet, 0, 20, 6, packet.length))
    assert.ok(verifyTransport(packet, 20, packet.length, 0, 17), `case ${i}`)
  }
})

const UDP_V4 = '4500 0021 1234 4000 4011 0000  c000 0201 c633 6402  9c42 0035 000d 0000  6e65 746c 6f'

test('completeChecksum and its view write the same, and nothing outside the field', () => {
  const packet = hex(UDP_V4)
  const [a, b] = [0, 1].map(() => {
    const frame = new Uint8Array(100).fill(0xa5)
    frame.set(packet, 31)
    put16(frame, 31 + 26, pseudoHeaderSum(frame, 31, 17, 13))
    return frame
  })
  assert.ok(completeChecksum(a, 31, 20, 6, 64))
  assert.ok(completeChecksumView(new DataView(b.buffer), 31, 20, 6, 64))
  assert.deepEqual(a, b)
  assert.ok(verifyTransport(a, 51, 64, 31, 17))
  const expected = new Uint8Array(100).fill(0xa5)
  expected.set(packet, 31)
  expected.set(a.subarray(57, 59), 57)
  assert.deepEqual(a, expected)
})

test('completeChecksum refuses a field that is not wholly inside, and writes nothing', () => {
  for (const [start, offset] of [
    [20, 11],
    [32, 0],
    [65535, 65535],
    [-1, 6],
    [20, -1]
  ]) {
    const frame = new Uint8Array(33).fill(0xa5)
    assert.equal(completeChecksum(frame, 0, start, offset, 32), false)
    assert.equal(completeChecksumView(new DataView(frame.buffer), 0, start, offset, 32), false)
    assert.deepEqual(frame, new Uint8Array(33).fill(0xa5))
  }
})

test('a checksum of 0 is sent as 0xffff', () => {
  assert.equal(nonZeroChecksum(0), 0xffff)
  assert.equal(nonZeroChecksum(1), 1)
  // The payload word is chosen so that everything sums to 0xffff and the checksum is 0.
  const packet = hex(`${UDP_V4.slice(0, -'6e65 746c 6f'.length)} 0000 0000 00`)
  const sum = fold(onesComplementSum(packet, 20, 13, 0) + pseudoHeaderSum(packet, 0, 17, 13))
  put16(packet, 28, checksumOf(sum))
  fillTransport(packet, 20, 33, 0, 17, 26)
  assert.equal(get16(packet, 26), 0xffff)
  put16(packet, 26, pseudoHeaderSum(packet, 0, 17, 13))
  completeChecksum(packet, 0, 20, 6, 33)
  assert.equal(get16(packet, 26), 0xffff)
})

test('pseudo-headers: in place for both versions, and from int32 addresses', () => {
  const v4 = hex(UDP_V4)
  const expected = naiveSum(hex('c000 0201 c633 6402 0011 000d'))
  assert.equal(pseudoHeaderSum(v4, 0, 17, 13), expected)
  assert.equal(pseudoHeaderSumIpv4(0xc0000201 | 0, 0xc6336402 | 0, 17, 13), expected)
  assert.equal(pseudoHeaderSumIpv4(0xc0000201, 0xc6336402, 17, 13), expected)
  const source = '2001 0db8 0000 0000 0000 0000 0000 0001'
  const destination = 'fe80 0000 0000 0000 0042 acff fe11 0002'
  const v6 = hex(`6000 0000 0000 063a ${source} ${destination}`)
  // The length of the IPv6 pseudo-header has 32 bits.
  assert.equal(pseudoHeaderSum(v6, 0, 6, 0x1_0203), naiveSum(hex(`${source} ${destination} 0001 0203 0000 0006`)))
})

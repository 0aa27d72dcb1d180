/** Fragments that came out together, put together again: only of the whole can a checksum be judged. */
import { get16, get32, put16 } from '../../src/wire/big-endian.ts'
import { fillIpv4Checksum } from '../../src/wire/ipv4.ts'
import type { OutFrame } from './gateway.ts'

const ETHERNET = 14

export interface Joined {
  readonly whole: OutFrame
  /** "offset+length" of each, in the order in which they came. */
  readonly pieces: string
  readonly count: number
}

/** Each frame, or in place of the first fragment of a complete packet that packet; in order. */
export function joinFragments(frames: readonly OutFrame[]): Joined[] {
  const groups = new Map<string, OutFrame[]>()
  for (const [index, frame] of frames.entries()) {
    const key = isFragment(frame) ? keyOf(frame) : String(index)
    groups.set(key, [...(groups.get(key) ?? []), frame])
  }
  return [...groups.values()].flatMap((group) => {
    const whole = group.length > 1 ? join(group) : null
    if (whole === null) return group.map((frame) => ({ whole: frame, pieces: '', count: 1 }))
    return [{ whole, pieces: group.map((frame) => `${offsetOf(frame)}+${lengthOf(frame)}`).join(' '), count: group.length }]
  })
}

/** null when something is missing or comes twice. */
function join(group: readonly OutFrame[]): OutFrame | null {
  const sorted = [...group].sort((one, other) => offsetOf(one) - offsetOf(other))
  let reach = 0
  for (const frame of sorted) {
    if (offsetOf(frame) !== reach) return null
    reach += lengthOf(frame)
  }
  const first = sorted[0].bytes
  const last = sorted[sorted.length - 1].bytes
  const head = ETHERNET + headerOf(sorted[0])
  if ((last[ETHERNET + 6] & 0x20) !== 0 || head + reach - ETHERNET > 0xffff) return null
  const bytes = new Uint8Array(head + reach)
  bytes.set(first.subarray(0, head))
  for (const frame of sorted) {
    const at = ETHERNET + headerOf(frame)
    bytes.set(frame.bytes.subarray(at, at + lengthOf(frame)), head + offsetOf(frame))
  }
  put16(bytes, ETHERNET + 2, head + reach - ETHERNET)
  put16(bytes, ETHERNET + 6, get16(first, ETHERNET + 6) & 0xc000)
  // A wrong checksum in any of them stays to be seen in the whole.
  const isRight = sorted.every((frame) => checksumIsRight(frame))
  fillIpv4Checksum(bytes, ETHERNET)
  if (!isRight) bytes[ETHERNET + 10] ^= 0xff
  return { interface: sorted[0].interface, bytes }
}

function isFragment({ bytes }: OutFrame): boolean {
  return bytes.length >= ETHERNET + 20 && get16(bytes, 12) === 0x0800 && (get16(bytes, ETHERNET + 6) & 0x3fff) !== 0
}

function keyOf({ interface: number, bytes }: OutFrame): string {
  const macs = Buffer.from(bytes.subarray(0, 12)).toString('hex')
  const addresses = `${get32(bytes, ETHERNET + 12)} ${get32(bytes, ETHERNET + 16)}`
  // TOS and TTL belong to what is compared: fragments that differ in them are no whole.
  return `${number} ${macs} ${addresses} ${get16(bytes, ETHERNET + 4)} ${bytes[ETHERNET + 9]} ${bytes[ETHERNET + 1]} ${bytes[ETHERNET + 8]}`
}

function headerOf({ bytes }: OutFrame): number {
  return 4 * (bytes[ETHERNET] & 15)
}

function offsetOf({ bytes }: OutFrame): number {
  return (get16(bytes, ETHERNET + 6) & 0x1fff) * 8
}

function lengthOf(frame: OutFrame): number {
  return get16(frame.bytes, ETHERNET + 2) - headerOf(frame)
}

function checksumIsRight(frame: OutFrame): boolean {
  const copy = frame.bytes.slice()
  fillIpv4Checksum(copy, ETHERNET)
  return get16(copy, ETHERNET + 10) === get16(frame.bytes, ETHERNET + 10)
}

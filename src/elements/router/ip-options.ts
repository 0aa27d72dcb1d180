/**
 * IPv4 options on the way through a router, RFC 791 section 3.1, RFC 1812 5.3.13: record route and timestamp are filled in, source
 * routes refused.
 *
 *   record route   | 7  | length | pointer | address, ...
 *   timestamp      | 68 | length | pointer | overflow (4), flag (4) | [address,] milliseconds since midnight UT, ...
 *
 * The pointer counts from 1 and is where the next entry goes; beyond the length: the option is full.
 */
import { get32, put32 } from '../../wire/big-endian.ts'
import { fillIpv4Checksum, IPV4_HEADER_LENGTH, Ipv4Option, ipv4HeaderLength } from '../../wire/ipv4.ts'

/** What was found. From MALFORMED on it is the offset from the start of the header of what is wrong: the pointer of RFC 792's parameter problem. */
export const Options = { fine: 0, sourceRoute: 1, malformed: IPV4_HEADER_LENGTH } as const

/** Flags of the timestamp option. */
const TimestampFlag = { only: 0, withAddress: 1, prespecified: 3 } as const
const OVERFLOW_MAX = 15

/** Looks at the options of the header at `at` without changing them; see Options. The pointers are those of ip_options_compile. */
export function checkOptions(bytes: Uint8Array, at: number): number {
  const end = at + ipv4HeaderLength(bytes, at)
  let found: number = Options.fine
  for (let option = at + IPV4_HEADER_LENGTH; option < end; ) {
    const kind = bytes[option]
    if (kind === Ipv4Option.end) break
    if (kind === Ipv4Option.noOperation) {
      option++
      continue
    }
    const length = option + 1 < end ? bytes[option + 1] : 0
    if (length < 2 || option + length > end) return option - at
    // What is broken further on is said all the same.
    if (kind === Ipv4Option.looseRoute || kind === Ipv4Option.strictRoute) found = Options.sourceRoute
    const problem =
      kind === Ipv4Option.recordRoute ? routeProblem(bytes, option) : kind === Ipv4Option.timestamp ? stampProblem(bytes, option) : 0
    if (problem !== 0) return option - at + problem
    option += length
  }
  return found
}

/** 0, or the offset in a record route option of what is wrong. The pointer counts from the option's first byte as 1: 4 is the first place. */
function routeProblem(bytes: Uint8Array, option: number): number {
  const length = bytes[option + 1]
  const pointer = bytes[option + 2]
  if (length < 3) return 1
  return pointer < 4 || (pointer <= length && pointer + 3 > length) ? 2 : 0
}

/** The same of a timestamp option, whose first place is 5. */
function stampProblem(bytes: Uint8Array, option: number): number {
  const length = bytes[option + 1]
  const pointer = bytes[option + 2]
  if (length < 4) return 1
  if (pointer < 5) return 2
  const flag = bytes[option + 3] & 0xf
  // RFC 791: full, and 15 routers have said that they could not: the packet is in error.
  if (pointer > length) return bytes[option + 3] >> 4 === OVERFLOW_MAX ? 3 : 0
  if (flag !== TimestampFlag.only && flag !== TimestampFlag.withAddress && flag !== TimestampFlag.prespecified) return 3
  return pointer + (flag === TimestampFlag.only ? 3 : 7) > length ? 2 : 0
}

/**
 * Fills in what the options of a packet ask of a router that sends it on; `checkOptions` has found them fine.
 * @param address int32: of the interface by which the packet leaves
 * @param isOwn whether an address, int32, is the router's
 * @param midnight milliseconds since midnight UT
 */
export function fillOptions(bytes: Uint8Array, at: number, address: number, isOwn: (address: number) => boolean, midnight: number): void {
  const end = at + ipv4HeaderLength(bytes, at)
  for (let option = at + IPV4_HEADER_LENGTH; option < end; ) {
    const kind = bytes[option]
    if (kind === Ipv4Option.end) break
    if (kind === Ipv4Option.noOperation) {
      option++
      continue
    }
    if (kind === Ipv4Option.recordRoute) recordRoute(bytes, option, address)
    else if (kind === Ipv4Option.timestamp) stamp(bytes, option, address, isOwn, midnight)
    option += bytes[option + 1]
  }
  fillIpv4Checksum(bytes, at)
}

function recordRoute(bytes: Uint8Array, option: number, address: number): void {
  const pointer = bytes[option + 2]
  if (pointer + 3 > bytes[option + 1]) return // full
  put32(bytes, option + pointer - 1, address)
  bytes[option + 2] = pointer + 4
}

function stamp(bytes: Uint8Array, option: number, address: number, isOwn: (address: number) => boolean, midnight: number): void {
  const length = bytes[option + 1]
  const pointer = bytes[option + 2]
  const flag = bytes[option + 3] & 0xf
  const size = flag === TimestampFlag.only ? 4 : 8
  if (pointer + size - 1 > length) {
    const overflow = bytes[option + 3] >> 4
    // RFC 791: at 15 the packet is in error; what is left of it is of use to its receiver all the same.
    if (overflow < OVERFLOW_MAX) bytes[option + 3] = ((overflow + 1) << 4) | flag
    return
  }
  const entry = option + pointer - 1
  if (flag === TimestampFlag.prespecified && !isOwn(get32(bytes, entry))) return
  if (flag !== TimestampFlag.only && flag !== TimestampFlag.withAddress && flag !== TimestampFlag.prespecified) return
  if (flag === TimestampFlag.withAddress) put32(bytes, entry, address)
  put32(bytes, entry + size - 4, midnight)
  bytes[option + 2] = pointer + size
}

/**
 * TCP options that say how far a sender may go: RFC 7323 window scale, RFC 2018 selective acknowledgments.
 */
import { get16 } from '../../wire/big-endian.ts'
import { TCP_HEADER_LENGTH, TCP_OFFSET, TcpOption, tcpHeaderLength } from '../../wire/tcp.ts'

/** The window's shift count, 0 to 14, stands in the low four bits. */
export const SynOption = { scaleMask: 0xf, windowScale: 0x10, sackPermitted: 0x20 } as const

/** What the options of the SYN at `at` say: SynOption bits. `checkTcp` has passed the header; options that cannot be end the reading. */
export function readSynOptions(bytes: Uint8Array, at: number): number {
  let flags = 0
  const end = at + tcpHeaderLength(bytes, at)
  for (let option = at + TCP_HEADER_LENGTH; option < end; ) {
    const kind = bytes[option]
    if (kind === TcpOption.end) break
    if (kind === TcpOption.noOperation) {
      option++
      continue
    }
    const length = option + 1 < end ? bytes[option + 1] : 0
    if (length < 2 || option + length > end) break
    if (kind === TcpOption.sackPermitted && length === 2) flags |= SynOption.sackPermitted
    else if (kind === TcpOption.windowScale && length === 3)
      flags = (flags & ~SynOption.scaleMask) | SynOption.windowScale | Math.min(14, bytes[option + 2])
    option += length
  }
  return flags
}

/** The right edge of the highest SACK block, or `ack` when none is beyond it. */
export function readSack(bytes: Uint8Array, at: number, ack: number): number {
  let edge = ack
  const end = at + ((bytes[at + TCP_OFFSET] >> 4) << 2)
  for (let option = at + TCP_HEADER_LENGTH; option < end; ) {
    const kind = bytes[option]
    if (kind === TcpOption.end) break
    if (kind === TcpOption.noOperation) {
      option++
      continue
    }
    const length = option + 1 < end ? bytes[option + 1] : 0
    if (length < 2 || option + length > end) break
    if (kind === TcpOption.sack && length >= 10 && (length - 2) % 8 === 0) {
      for (let block = option + 2; block < option + length; block += 8) {
        const right = (get16(bytes, block + 4) << 16) | get16(bytes, block + 6)
        if (((right - edge) | 0) > 0) edge = right
      }
    }
    option += length
  }
  return edge
}

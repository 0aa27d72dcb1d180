/**
 * Addresses of both families as four int32 words: what tables compare and calls carry, with nothing allocated per frame.
 *
 *   IPv4   [address, 0, 0, 0]
 *   IPv6   the 16 bytes in network order
 */
import { formatIpv4, formatIpv6, ipv6FromBigint } from '../../wire/address.ts'
import { get32, put32 } from '../../wire/big-endian.ts'

export type Words = readonly [number, number, number, number]

/** The words of an address as `cidr` has it: a number is IPv4, a bigint IPv6. */
export function wordsOfNumber(address: number | bigint): Words {
  return typeof address === 'number' ? [address | 0, 0, 0, 0] : wordsAt(ipv6FromBigint(address), 0)
}

/** Reads 16 bytes. */
export function wordsAt(bytes: Uint8Array, at: number): Words {
  return [get32(bytes, at), get32(bytes, at + 4), get32(bytes, at + 8), get32(bytes, at + 12)]
}

/** The canonical text. */
export function addressText(family: 4 | 6, words: Words): string {
  return family === 4 ? formatIpv4(words[0]) : formatIpv6(bytesOfWords(words))
}

/** 16 bytes in network order. */
export function bytesOfWords(words: Words): Uint8Array {
  const bytes = new Uint8Array(16)
  words.forEach((word, index) => {
    put32(bytes, 4 * index, word)
  })
  return bytes
}

/** Writes the 4 words at `at`. */
export function putWords(bytes: Uint8Array, at: number, words: Words): void {
  put32(bytes, at, words[0])
  put32(bytes, at + 4, words[1])
  put32(bytes, at + 8, words[2])
  put32(bytes, at + 12, words[3])
}

/** Mask of word `index` (0 to 3) of a prefix of `length` bits. */
export function maskWord(length: number, index: number): number {
  const bits = length - 32 * index
  if (bits <= 0) return 0
  return bits >= 32 ? -1 : -1 << (32 - bits)
}

/**
 * Whether an address lies in one of many prefixes: one look-up for each length that occurs, whatever the number of prefixes.
 */
import { ipv6FromBigint } from '../../wire/address.ts'
import { get32 } from '../../wire/big-endian.ts'
import type { Prefix } from '../../wire/cidr.ts'

interface Entry6 {
  readonly words: Int32Array
  count: number
}

export class PrefixSet {
  /** By length: network (int32) -> how often it was added. */
  private readonly ipv4 = new Map<number, Map<number, number>>()
  /** By length: hash of the network -> those with it. */
  private readonly ipv6 = new Map<number, Map<number, Entry6[]>>()

  add(prefix: Prefix): void {
    if (prefix.family === 4) {
      const networks = entryOf(this.ipv4, prefix.length, () => new Map<number, number>())
      networks.set(prefix.network | 0, (networks.get(prefix.network | 0) ?? 0) + 1)
      return
    }
    const words = wordsOf(prefix.network)
    const networks = entryOf(this.ipv6, prefix.length, () => new Map<number, Entry6[]>())
    const entries = entryOf(networks, hash(words[0], words[1], words[2], words[3]), () => [])
    const known = entries.find((entry) => entry.words.every((word, i) => word === words[i]))
    if (known === undefined) entries.push({ words, count: 1 })
    else known.count++
  }

  /** One time less; the prefix was added. */
  remove(prefix: Prefix): void {
    if (prefix.family === 4) {
      const networks = this.ipv4.get(prefix.length)!
      const count = networks.get(prefix.network | 0)! - 1
      if (count > 0) networks.set(prefix.network | 0, count)
      else networks.delete(prefix.network | 0)
      if (networks.size === 0) this.ipv4.delete(prefix.length)
      return
    }
    const words = wordsOf(prefix.network)
    const networks = this.ipv6.get(prefix.length)!
    const key = hash(words[0], words[1], words[2], words[3])
    const entries = networks.get(key)!
    const index = entries.findIndex((entry) => entry.words.every((word, i) => word === words[i]))
    if (--entries[index].count > 0) return
    entries.splice(index, 1)
    if (entries.length === 0) networks.delete(key)
    if (networks.size === 0) this.ipv6.delete(prefix.length)
  }

  /** Whether the IPv4 address at `at` is in one. */
  hasIpv4(bytes: Uint8Array, at: number): boolean {
    const address = get32(bytes, at)
    for (const [length, networks] of this.ipv4) if (networks.has(address & mask(length))) return true
    return false
  }

  /** Whether the IPv6 address at `at` is in one. */
  hasIpv6(bytes: Uint8Array, at: number): boolean {
    for (const [length, networks] of this.ipv6) {
      const w0 = get32(bytes, at) & mask(length)
      const w1 = get32(bytes, at + 4) & mask(length - 32)
      const w2 = get32(bytes, at + 8) & mask(length - 64)
      const w3 = get32(bytes, at + 12) & mask(length - 96)
      const entries = networks.get(hash(w0, w1, w2, w3))
      if (entries === undefined) continue
      for (const { words } of entries) if (words[0] === w0 && words[1] === w1 && words[2] === w2 && words[3] === w3) return true
    }
    return false
  }
}

/** Mask of a word of which `length` bits belong to the prefix; below 0: none, above 32: all. */
function mask(length: number): number {
  return length <= 0 ? 0 : length >= 32 ? -1 : -1 << (32 - length)
}

function hash(w0: number, w1: number, w2: number, w3: number): number {
  return Math.imul(Math.imul(Math.imul(w0, 31) + w1, 31) + w2, 31) ^ w3
}

function wordsOf(network: bigint): Int32Array {
  const bytes = ipv6FromBigint(network)
  return Int32Array.from([0, 4, 8, 12], (at) => get32(bytes, at))
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = make()))
  return value
}

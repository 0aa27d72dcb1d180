/**
 * A set of IP addresses: open addressing, at most half full, one table for each family. Read per frame, replaced as a whole.
 *
 *   IPv4   one word an entry        IPv6   four words an entry; the empty entry is 0.0.0.0 or ::, which are no members
 */
import { get32 } from '../../wire/big-endian.ts'

const SMALLEST = 16

export class AddressSet {
  private readonly words4: Int32Array
  private readonly words6: Int32Array
  private readonly mask4: number
  private readonly mask6: number

  /** Addresses as `parseIpv4` and `parseIpv6` give them. The unspecified ones are left out. */
  constructor(ipv4: readonly number[] = [], ipv6: readonly Uint8Array[] = []) {
    this.mask4 = sizeFor(ipv4.length) - 1
    this.mask6 = sizeFor(ipv6.length) - 1
    this.words4 = new Int32Array(this.mask4 + 1)
    this.words6 = new Int32Array(4 * (this.mask6 + 1))
    for (const address of ipv4) {
      let at = hash4(address) & this.mask4
      while (this.words4[at] !== 0 && this.words4[at] !== address) at = (at + 1) & this.mask4
      this.words4[at] = address
    }
    for (const address of ipv6) if (!this.has6(address, 0)) this.add6(address)
  }

  /** Whether the address (int32) is a member. */
  has4(address: number): boolean {
    const { words4, mask4 } = this
    for (let at = hash4(address) & mask4; words4[at] !== 0; at = (at + 1) & mask4) if (words4[at] === address) return true
    return false
  }

  /** Whether the 16 bytes at `at` are a member. */
  has6(bytes: Uint8Array, at: number): boolean {
    const { words6, mask6 } = this
    const a = get32(bytes, at)
    const b = get32(bytes, at + 4)
    const c = get32(bytes, at + 8)
    const d = get32(bytes, at + 12)
    for (let slot = hash6(a, b, c, d) & mask6; ; slot = (slot + 1) & mask6) {
      const from = slot << 2
      if ((words6[from] | words6[from + 1] | words6[from + 2] | words6[from + 3]) === 0) return false
      if (words6[from] === a && words6[from + 1] === b && words6[from + 2] === c && words6[from + 3] === d) return true
    }
  }

  private add6(address: Uint8Array): void {
    const { words6, mask6 } = this
    const words = [get32(address, 0), get32(address, 4), get32(address, 8), get32(address, 12)]
    let slot = hash6(words[0], words[1], words[2], words[3]) & mask6
    while (words6.subarray(4 * slot, 4 * slot + 4).some((word) => word !== 0)) slot = (slot + 1) & mask6
    words6.set(words, 4 * slot)
  }
}

function sizeFor(count: number): number {
  return Math.max(SMALLEST, 1 << (32 - Math.clz32(2 * count)))
}

function hash4(address: number): number {
  const mixed = Math.imul(address, 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

function hash6(a: number, b: number, c: number, d: number): number {
  let hash = Math.imul(a ^ Math.imul(b, 0x85ebca6b), 0xc2b2ae35)
  hash = Math.imul((hash ^ (hash >>> 15)) + c, 0x9e3779b1)
  hash = Math.imul((hash ^ (hash >>> 13)) + d, 0x85ebca6b)
  return hash ^ (hash >>> 16)
}

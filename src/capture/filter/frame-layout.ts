/**
 * The conditions of single primitives on an Ethernet frame, in the order in which libpcap looks at the fields (gencode.c):
 *
 *   0        6         12 + 4n     14 + 4n
 *   | dst    | src     | type      | payload ...        n = tags that `vlan` has passed so far
 */
import { BPF_X, BpfAlu, BpfClass, type BpfInstruction, bpfStatement } from './bpf-instruction.ts'
import {
  all,
  any,
  bytesAre,
  type FilterChoice,
  type FilterCondition,
  loadAt,
  loadBehind,
  loadHeaderLength,
  not,
  test
} from './filter-condition.ts'
import { ETHER_TYPES, IP_PROTOCOLS, type ProtocolWord } from './filter-names.ts'

export type Direction = 'src' | 'dst' | 'src or dst' | 'src and dst'

/** TPIDs that `vlan` takes: 802.1Q, 802.1ad, and the 0x9100 of older stacked tags. */
const TAG_TYPES = [0x8100, 0x88a8, 0x9100]
const MAC_DST = 0
const MAC_SRC = 6
/** Offsets in the header. */
const Ipv4 = { fragment: 6, protocol: 9, src: 12, dst: 16 } as const
const Ipv6 = { next: 6, src: 8, dst: 24, payload: 40 } as const
const Arp = { sender: 14, target: 24 } as const
const FRAGMENT_HEADER = 44

/** In whose header a load's offset counts. */
export type HeaderWord = ProtocolWord

export class FrameLayout {
  private typeAt = 12

  private get payloadAt(): number {
    return this.typeAt + 2
  }

  etherType(type: number): FilterCondition {
    return bytesAre(this.typeAt, 2, type)
  }

  /** A tag; all that stands after this in the filter looks behind the tag. `id`: 0..4095. */
  vlan(id: number | null): FilterCondition {
    const isTag = any(...TAG_TYPES.map((type) => this.etherType(type)))
    const condition = id === null ? isTag : all(isTag, bytesAre(this.payloadAt, 2, id, 0x0fff))
    this.typeAt += 4
    return condition
  }

  /** What a protocol's bare name asks. */
  protocol(word: ProtocolWord): FilterCondition {
    switch (word) {
      case 'ip':
      case 'ip6':
      case 'arp':
      case 'rarp':
        return this.etherType(ETHER_TYPES[word])
      case 'icmp':
      case 'igmp':
      case 'vrrp':
        return this.ipProtocol(IP_PROTOCOLS[word], 'ip')
      case 'icmp6':
        return this.ipProtocol(IP_PROTOCOLS.icmp6, 'ip6')
      default:
        return this.ipProtocol(IP_PROTOCOLS[word], null)
    }
  }

  /** An IP packet that carries a protocol; in IPv6 as first header or right behind a fragment header. */
  ipProtocol(number: number, family: 'ip' | 'ip6' | null): FilterCondition {
    const next = this.payloadAt + Ipv6.next
    const behindFragment = all(bytesAre(next, 1, FRAGMENT_HEADER), bytesAre(this.payloadAt + Ipv6.payload, 1, number))
    const ipv4 = { value: ETHER_TYPES.ip, rest: bytesAre(this.payloadAt + Ipv4.protocol, 1, number) }
    const ipv6 = { value: ETHER_TYPES.ip6, rest: any(bytesAre(next, 1, number), behindFragment) }
    return this.byType(family === 'ip' ? [ipv4] : family === 'ip6' ? [ipv6] : [ipv4, ipv6])
  }

  /** hi: 16 bits, lo: 32 bits of the address. */
  mac({ hi, lo }: { hi: number; lo: number }, direction: Direction): FilterCondition {
    const at = (offset: number): FilterCondition => all(bytesAre(offset + 2, 4, lo), bytesAre(offset, 2, hi))
    return inDirection(direction, at(MAC_SRC), at(MAC_DST))
  }

  macMulticast(): FilterCondition {
    return test([loadAt(MAC_DST, 1)], 'set', 1)
  }

  ipv4Multicast(): FilterCondition {
    return all(this.etherType(ETHER_TYPES.ip), test([loadAt(this.payloadAt + Ipv4.dst, 1)], 'ge', 224))
  }

  ipv6Multicast(): FilterCondition {
    return all(this.etherType(ETHER_TYPES.ip6), bytesAre(this.payloadAt + Ipv6.dst, 1, 255))
  }

  /** An IPv4 address (or network) in IP, ARP or RARP; null: in any of them. */
  ipv4Address(address: number, mask: number, direction: Direction, word: 'ip' | 'arp' | 'rarp' | null): FilterCondition {
    const at = (offset: number): FilterCondition => bytesAre(this.payloadAt + offset, 4, address, mask)
    const words = word === null ? (['ip', 'arp', 'rarp'] as const) : [word]
    const cases = words.map((each) => {
      const [src, dst] = each === 'ip' ? [Ipv4.src, Ipv4.dst] : [Arp.sender, Arp.target]
      return { value: ETHER_TYPES[each], rest: inDirection(direction, at(src), at(dst)) }
    })
    return this.byType(cases)
  }

  /** `address` and `mask`: 16 bytes each. */
  ipv6Address(address: DataView, mask: DataView, direction: Direction): FilterCondition {
    const at = (offset: number): FilterCondition =>
      all(...[0, 4, 8, 12].map((i) => bytesAre(this.payloadAt + offset + i, 4, address.getUint32(i), mask.getUint32(i))))
    return all(this.etherType(ETHER_TYPES.ip6), inDirection(direction, at(Ipv6.src), at(Ipv6.dst)))
  }

  /** A port of TCP, UDP or SCTP (`protocols`: their numbers), first..last; IPv4 fragments but the first have none. */
  ports(first: number, last: number, protocols: readonly number[], direction: Direction): FilterCondition {
    const inRange = (load: readonly BpfInstruction[]): FilterCondition =>
      first === last ? test(load, 'eq', first) : all(test(load, 'ge', first), not(test(load, 'gt', last)))
    const behind6 = this.payloadAt + Ipv6.payload
    const ipv6 = all(
      any(...protocols.map((number) => bytesAre(this.payloadAt + Ipv6.next, 1, number))),
      inDirection(direction, inRange([loadAt(behind6, 2)]), inRange([loadAt(behind6 + 2, 2)]))
    )
    const port = (offset: number): BpfInstruction[] => [loadHeaderLength(this.payloadAt), loadBehind(this.payloadAt + offset, 2)]
    const ipv4 = all(
      any(...protocols.map((number) => bytesAre(this.payloadAt + Ipv4.protocol, 1, number))),
      this.noLaterFragment(),
      inDirection(direction, inRange(port(0)), inRange(port(2)))
    )
    return this.byType([
      { value: ETHER_TYPES.ip6, rest: ipv6 },
      { value: ETHER_TYPES.ip, rest: ipv4 }
    ])
  }

  private byType(cases: FilterChoice['cases']): FilterCondition {
    return { kind: 'choice', offset: this.typeAt, bytes: 2, cases }
  }

  private noLaterFragment(): FilterCondition {
    return not(test([loadAt(this.payloadAt + Ipv4.fragment, 2)], 'set', 0x1fff))
  }

  /**
   * What must hold of a frame whose header `word` is read, `inner` what its offset needs; in libpcap's order.
   * Transport headers are read behind IPv4 only, icmp6 behind IPv6.
   */
  headerConditions(word: HeaderWord, inner: readonly FilterCondition[]): FilterCondition[] {
    if (word === 'ether' || word === 'link') return [...inner]
    if (word === 'icmp6') return [...inner, this.etherType(ETHER_TYPES.ip6), bytesAre(this.payloadAt + Ipv6.next, 1, IP_PROTOCOLS.icmp6)]
    if (word in ETHER_TYPES) return [...inner, this.protocol(word)]
    const isProtocol = bytesAre(this.payloadAt + Ipv4.protocol, 1, IP_PROTOCOLS[word])
    return [this.etherType(ETHER_TYPES.ip), ...inner, isProtocol, this.noLaterFragment()]
  }

  /** Loads 1, 2 or 4 bytes at an offset in the header `word`. */
  headerField(word: HeaderWord, offset: number, bytes: number): BpfInstruction[] {
    const header = this.fixedHeader(word)
    if (header !== null) return [loadAt(header + offset, bytes)]
    return [loadHeaderLength(this.payloadAt), loadBehind(this.payloadAt + offset, bytes)]
  }

  /** The same with the offset in A. */
  headerFieldAtA(word: HeaderWord, bytes: number): BpfInstruction[] {
    const toX = bpfStatement(BpfClass.misc)
    const header = this.fixedHeader(word)
    if (header !== null) return [toX, loadBehind(header, bytes)]
    return [loadHeaderLength(this.payloadAt), bpfStatement(BpfClass.alu | BpfAlu.add | BPF_X), toX, loadBehind(this.payloadAt, bytes)]
  }

  /** Where a header begins that is always at the same place; null: behind the IPv4 header. */
  private fixedHeader(word: HeaderWord): number | null {
    if (word === 'ether' || word === 'link') return 0
    if (word === 'icmp6') return this.payloadAt + Ipv6.payload
    return word in ETHER_TYPES ? this.payloadAt : null
  }
}

function inDirection(direction: Direction, src: FilterCondition, dst: FilterCondition): FilterCondition {
  if (direction === 'src') return src
  if (direction === 'dst') return dst
  return direction === 'src and dst' ? all(src, dst) : any(src, dst)
}

/** What of a frame tells its flow: addresses, protocol and ports behind Ethernet and tags. Read in place; no IP: MACs and type. */
import { get16, get32 } from '../../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_TYPE, EtherType } from '../../wire/ethernet.ts'
import { checkIpv4, IPV4_DESTINATION, IPV4_SOURCE, IpProtocol, ipv4HasTransportHeader, ipv4Payload, ipv4Protocol } from '../../wire/ipv4.ts'
import { checkIpv6, IPV6_DESTINATION, IPV6_HEADER_LENGTH, IPV6_SOURCE, ipv6NextHeader } from '../../wire/ipv6.ts'
import { checkVlan, VLAN_TAG_LENGTH } from '../../wire/vlan.ts'

export class PacketKeys {
  /** 0: no IP. */
  version: 0 | 4 | 6 = 0
  etherType = 0
  ipAt = 0
  protocol = -1
  sourceAt = 0
  destinationAt = 0
  sourcePort = -1
  destinationPort = -1

  /** Reads the frame in [at, end). */
  read(bytes: Uint8Array, at: number, end: number): void {
    this.version = 0
    this.etherType = -1
    this.protocol = this.sourcePort = this.destinationPort = -1
    if (end - at < ETHERNET_HEADER_LENGTH) return
    let typeAt = at + ETHERNET_TYPE
    while (checkVlan(bytes, typeAt, end)) typeAt += VLAN_TAG_LENGTH
    this.etherType = get16(bytes, typeAt)
    const ipAt = typeAt + 2
    this.ipAt = ipAt
    if (this.etherType === EtherType.ipv4 && checkIpv4(bytes, ipAt, end)) {
      this.version = 4
      this.protocol = ipv4Protocol(bytes, ipAt)
      this.sourceAt = ipAt + IPV4_SOURCE
      this.destinationAt = ipAt + IPV4_DESTINATION
      if (ipv4HasTransportHeader(bytes, ipAt)) this.readPorts(bytes, ipv4Payload(bytes, ipAt), end)
    } else if (this.etherType === EtherType.ipv6 && checkIpv6(bytes, ipAt, end)) {
      this.version = 6
      this.protocol = ipv6NextHeader(bytes, ipAt)
      this.sourceAt = ipAt + IPV6_SOURCE
      this.destinationAt = ipAt + IPV6_DESTINATION
      this.readPorts(bytes, ipAt + IPV6_HEADER_LENGTH, end)
    }
  }

  private readPorts(bytes: Uint8Array, at: number, end: number): void {
    if ((this.protocol !== IpProtocol.tcp && this.protocol !== IpProtocol.udp) || at + 4 > end) return
    this.sourcePort = get16(bytes, at)
    this.destinationPort = get16(bytes, at + 2)
  }

  /** A number of 32 bits that packets of one flow and direction share; `seed` differs from queue to queue. */
  hash(bytes: Uint8Array, at: number, seed: number): number {
    let hash = seed
    if (this.version === 0) {
      for (let i = 0; i < 12; i += 4) hash = mix(hash, get32(bytes, at + i))
      return mix(hash, this.etherType)
    }
    const length = this.version === 4 ? 4 : 16
    for (let i = 0; i < length; i += 4) {
      hash = mix(hash, get32(bytes, this.sourceAt + i))
      hash = mix(hash, get32(bytes, this.destinationAt + i))
    }
    return mix(mix(hash, this.protocol), (this.sourcePort << 16) ^ this.destinationPort)
  }
}

/** A round of MurmurHash3 with its final mixing. */
function mix(hash: number, word: number): number {
  let value = Math.imul(word, 0xcc9e2d51 | 0)
  value = Math.imul((value << 15) | (value >>> 17), 0x1b873593)
  let mixed = hash ^ value
  mixed = (Math.imul((mixed << 13) | (mixed >>> 19), 5) + (0xe6546b64 | 0)) | 0
  return mixed ^ (mixed >>> 16)
}

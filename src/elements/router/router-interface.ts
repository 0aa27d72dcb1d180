/**
 * One interface of a router: what it is called on its link, and which of its addresses speaks.
 */
import { linkLocalFromMac, type Mac } from '../../wire/address.ts'
import { type Prefix, prefixBroadcast } from '../../wire/cidr.ts'
import { IPV6_MIN_MTU } from '../../wire/ipv6.ts'
import { maskWord, type Words, wordsAt, wordsOfNumber } from './address-words.ts'
import { macTail, macWord } from './forwarding-cache.ts'
import { type Destination, destinationOf, type InterfaceSpec, readInterface } from './router-options.ts'

/** An address of the router. */
export interface OwnAddress {
  readonly family: 4 | 6
  readonly words: Words
  /** Prefix length, bits. */
  readonly length: number
  /** The network around it: its connected route. */
  readonly network: Destination
  /** Directed broadcast address, int32; null: none (IPv6, /31, /32). */
  readonly broadcast: number | null
}

const NO_ADDRESS: Words = [0, 0, 0, 0]

export class RouterInterface {
  readonly number: number
  readonly given: InterfaceSpec
  readonly mac: Mac
  readonly mtu: number
  /** The same for IPv6, which every link carries 1280 bytes of (RFC 8200 section 5; Linux forwards them so). */
  readonly mtu6: number
  readonly answers: boolean
  readonly noDecrement: boolean
  /** The UDP port of the program that stands here in place of a link; 0: a link. */
  readonly service: number
  /** The MAC as words of a frame: see FastInterface. */
  readonly macWord: number
  readonly macTail: number
  /** Without link-local ones. */
  readonly addresses: readonly OwnAddress[]
  /** fe80::/64 with the interface's MAC, or the link-local address that was given. */
  readonly linkLocal: Words
  /** Neighbor discovery and ICMPv6 are spoken: it has an IPv6 address. */
  readonly hasIpv6: boolean

  /** Throws RouterOptionsError. */
  constructor(number: number, given: InterfaceSpec) {
    const { mac, addresses } = readInterface(`interfaces.${number}`, given)
    const linkLocal = addresses.find(isLinkLocal)
    this.number = number
    this.given = given
    this.mac = mac
    this.macWord = macWord(mac)
    this.macTail = macTail(mac)
    this.mtu = given.mtu
    this.mtu6 = Math.max(given.mtu, IPV6_MIN_MTU)
    this.answers = given.answers
    this.noDecrement = given.noDecrement ?? false
    this.service = given.service ?? 0
    this.addresses = addresses.filter((prefix) => !isLinkLocal(prefix)).map(ownAddress)
    this.linkLocal = linkLocal === undefined ? wordsAt(linkLocalFromMac(mac), 0) : wordsOfNumber(linkLocal.address)
    this.hasIpv6 = addresses.some(({ family }) => family === 6)
  }

  /** The IPv4 address to speak to `target` from: one of its network, else the first; 0 where there is none. */
  source4(target: number): number {
    let first = 0
    for (const { family, words, length } of this.addresses) {
      if (family !== 4) continue
      if (((target ^ words[0]) & maskWord(length, 0)) === 0) return words[0]
      if (first === 0) first = words[0]
    }
    return first
  }

  /** The IPv6 address to speak from, RFC 6724 in short: scope first, then the same network, then the first. */
  source6(w0: number, w1: number, w2: number, w3: number): Words {
    // fe80::/10 and ff02::/16: the link is as far as it goes.
    if ((w0 & 0xffc00000) === (0xfe800000 | 0) || w0 >>> 16 === 0xff02) return this.linkLocal
    let first = NO_ADDRESS
    for (const { family, words, length } of this.addresses) {
      if (family !== 6) continue
      if (isInside(w0, w1, w2, w3, words, length)) return words
      if (first === NO_ADDRESS) first = words
    }
    return first === NO_ADDRESS ? this.linkLocal : first
  }

  /** Whether an address, of the interface's own link only, is this interface's. */
  owns(family: 4 | 6, w0: number, w1: number, w2: number, w3: number): boolean {
    for (const own of this.addresses) if (own.family === family && isEqual(own.words, w0, w1, w2, w3)) return true
    return family === 6 && isEqual(this.linkLocal, w0, w1, w2, w3)
  }

  /** Whether the router listens to an IPv6 group here: all nodes, all routers, solicited nodes of its addresses (RFC 4291 2.8). */
  hears(w0: number, w1: number, w2: number, w3: number): boolean {
    if (w0 !== (0xff020000 | 0) || w1 !== 0) return false
    if (w2 === 0) return w3 === 1 || w3 === 2
    if (w2 !== 1 || w3 >>> 24 !== 0xff) return false
    const tail = w3 & 0xffffff
    for (const { family, words } of this.addresses) if (family === 6 && (words[3] & 0xffffff) === tail) return true
    return (this.linkLocal[3] & 0xffffff) === tail
  }
}

function ownAddress(prefix: Prefix): OwnAddress {
  const broadcast = prefixBroadcast(prefix)
  return {
    family: prefix.family,
    words: wordsOfNumber(prefix.address),
    length: prefix.length,
    network: destinationOf(prefix),
    broadcast: broadcast === null ? null : broadcast | 0
  }
}

function isLinkLocal(prefix: Prefix): boolean {
  return prefix.family === 6 && prefix.address >> 118n === 0x3fan
}

export function isEqual(words: Words, w0: number, w1: number, w2: number, w3: number): boolean {
  return words[3] === w3 && words[0] === w0 && words[1] === w1 && words[2] === w2
}

function isInside(w0: number, w1: number, w2: number, w3: number, network: Words, length: number): boolean {
  return (
    ((w0 ^ network[0]) & maskWord(length, 0)) === 0 &&
    ((w1 ^ network[1]) & maskWord(length, 1)) === 0 &&
    ((w2 ^ network[2]) & maskWord(length, 2)) === 0 &&
    ((w3 ^ network[3]) & maskWord(length, 3)) === 0
  )
}

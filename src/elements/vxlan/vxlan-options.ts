/**
 * What a VTEP can be told: options of the underlay, and the records that the control plane feeds it.
 */
import { addressFamily, formatIpv6, formatMac, type Mac, parseIpv4, parseIpv6, parseMac } from '../../wire/address.ts'
import { get32 } from '../../wire/big-endian.ts'
import { VXLAN_MAX_VNI, VXLAN_PORT } from '../../wire/vxlan.ts'

/** Port 0 is the underlay, the others are segments. */
export const VXLAN_PORTS_MAX = 4096
export const DEFAULT_UNDERLAY_MTU = 1500
/** RFC 1700, and Linux's vxlan device under Docker. */
export const DEFAULT_TTL = 64
/** Seconds, as Linux's vxlan device (FDB_AGE_DEFAULT). */
export const DEFAULT_AGEING = 300
export const DEFAULT_FDB_CAPACITY = 65_536
/** Of an inner packet: IPv4's least. */
const MTU_MIN = 68
const AGEING_MAX = 1_000_000
const FDB_CAPACITY_MAX = 4_194_304

/** One VNI at one port. */
export interface VxlanSegment {
  /** 1 and up. */
  readonly port: number
  /** Longest inner packet, bytes; default 1,450. What the underlay takes may be less. */
  readonly mtu?: number
  /** Broadcast, multicast and unknown unicast: `drop` (default, as Docker) or `flood` (a copy to each VTEP of the segment). */
  readonly bum?: 'drop' | 'flood'
  /** Learn inner sources from frames of any VTEP; without it only known VTEPs are believed. Default false. */
  readonly learning?: boolean
  /** Answer ARP and ND for known remote addresses. Default true. */
  readonly suppress?: boolean
  /** VTEPs that get copies beside those of the peers: the kernel's `bridge fdb append 00:00:00:00:00:00 dst ADDRESS`. */
  readonly remotes?: readonly string[]
}

/** A remote endpoint. */
export interface VxlanPeer {
  readonly vtep: string
  /** IPv4 and IPv6 that ARP and ND are answered for. */
  readonly addresses?: readonly string[]
}

/** Records by key; null removes one. */
export interface VxlanChange {
  /** By VNI. */
  readonly segments?: Readonly<Record<string, VxlanSegment | null>>
  /** By address: VTEPs whose frames are believed. Those of peers and remotes are too. */
  readonly vteps?: Readonly<Record<string, true | null>>
  /** By `VNI/MAC`. */
  readonly peers?: Readonly<Record<string, VxlanPeer | null>>
}

/** The records are what there is at the beginning; later changes come by `update`. */
export interface VxlanOptions extends VxlanChange {
  /** Own addresses, IPv4 and IPv6; the first of a family is the outer source. */
  readonly addresses: readonly string[]
  /** Of our station on the underlay. */
  readonly mac: string
  /** Where all outer frames go: the underlay knows the way from there. */
  readonly nextHopMac: string
  /** UDP; default 4789. */
  readonly port?: number
  /** Longest outer packet, bytes; default 1,500. */
  readonly underlayMtu?: number
  /** Send a UDP checksum; default: over IPv6 only (RFC 7348 5: zero over IPv4). A wrong one is never accepted. */
  readonly udpChecksum?: boolean
  /** Set DF on outer IPv4 packets; default false, as Docker's. */
  readonly dontFragment?: boolean
  /** TTL and hop limit; default 64. */
  readonly ttl?: number
  /** Seconds until a learned address that sends nothing is forgotten; default 300. */
  readonly ageing?: number
  /** Addresses that can be learned; default 65,536. */
  readonly fdbCapacity?: number
}

/** An option or record of a VTEP that cannot be: names it and the value. */
export class VxlanOptionError extends Error {
  readonly code = 'ERR_VXLAN_OPTION'
}

/** An address as four words; IPv4 is mapped (::ffff:a.b.c.d). */
export interface VtepAddress {
  readonly family: 4 | 6
  readonly words: Int32Array
}

export interface VxlanSettings {
  readonly addresses: readonly VtepAddress[]
  readonly mac: Mac
  readonly nextHopMac: Mac
  readonly port: number
  readonly underlayMtu: number
  /** By family. */
  readonly udpChecksum: { readonly 4: boolean; readonly 6: boolean }
  readonly dontFragment: boolean
  readonly ttl: number
  readonly ageing: number
  readonly fdbCapacity: number
}

/** Throws VxlanOptionError, or AddressError for what cannot be read. */
export function readVxlanOptions(options: VxlanOptions): VxlanSettings {
  const { port = VXLAN_PORT, underlayMtu = DEFAULT_UNDERLAY_MTU, ttl = DEFAULT_TTL, udpChecksum, dontFragment = false } = options
  const { ageing = DEFAULT_AGEING, fdbCapacity = DEFAULT_FDB_CAPACITY } = options
  whole('port', port, 1, 0xffff)
  whole('underlayMtu', underlayMtu, MTU_MIN + 70, 0xffff)
  whole('ttl', ttl, 1, 255)
  whole('ageing', ageing, 1, AGEING_MAX)
  whole('fdbCapacity', fdbCapacity, 0, FDB_CAPACITY_MAX)
  if (options.addresses.length === 0) throw new VxlanOptionError('addresses is empty: a VTEP needs one to send from')
  return {
    addresses: options.addresses.map(readAddress),
    mac: station('mac', options.mac),
    nextHopMac: station('nextHopMac', options.nextHopMac),
    port,
    underlayMtu,
    udpChecksum: { 4: udpChecksum ?? false, 6: udpChecksum ?? true },
    dontFragment,
    ttl,
    ageing,
    fdbCapacity
  }
}

/** Throws AddressError. */
export function readAddress(text: string): VtepAddress {
  if (addressFamily(text) === 4) return { family: 4, words: Int32Array.of(0, 0, 0xffff, parseIpv4(text)) }
  const bytes = parseIpv6(text)
  return { family: 6, words: Int32Array.from([0, 4, 8, 12], (at) => get32(bytes, at)) }
}

/** One spelling for each address. */
export function normalAddress(text: string): string {
  return addressFamily(text) === 6 ? formatIpv6(parseIpv6(text)) : text
}

/** One spelling for each `VNI/MAC`. */
export function normalPeerKey(key: string): string {
  const { vni, mac } = readPeerKey(key)
  return `${vni}/${formatMac(mac)}`
}

export function readPeerKey(key: string): { readonly vni: number; readonly mac: Mac } {
  const slash = key.indexOf('/')
  const mac = station(`peer '${key}'`, key.slice(slash + 1))
  return { vni: readVni(key.slice(0, Math.max(slash, 0))), mac }
}

export function readVni(text: string): number {
  const vni = /^\d{1,8}$/.test(text) ? Number(text) : -1
  whole('VNI', vni, 0, VXLAN_MAX_VNI, text)
  return vni
}

/** Throws for records that cannot be; changes nothing. */
export function checkChange({ segments = {}, vteps = {}, peers = {} }: VxlanChange): void {
  for (const [vni, segment] of Object.entries(segments)) {
    readVni(vni)
    if (segment === null) continue
    whole(`port of VNI ${vni}`, segment.port, 1, VXLAN_PORTS_MAX - 1)
    if (segment.mtu !== undefined) whole(`mtu of VNI ${vni}`, segment.mtu, MTU_MIN, 0xffff)
    for (const remote of segment.remotes ?? []) readAddress(remote)
  }
  for (const address of Object.keys(vteps)) readAddress(address)
  for (const [key, peer] of Object.entries(peers)) {
    readPeerKey(key)
    if (peer === null) continue
    readAddress(peer.vtep)
    for (const address of peer.addresses ?? []) readAddress(address)
  }
}

function station(what: string, text: string): Mac {
  const mac = parseMac(text)
  if ((mac.hi & 0x0100) !== 0 || (mac.hi | mac.lo) === 0) throw new VxlanOptionError(`${what}: ${text} is no station's address`)
  return mac
}

function whole(name: string, value: number, least: number, most: number, shown: unknown = value): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  throw new VxlanOptionError(`${name} is ${shown}: it must be a whole number from ${least} to ${most}`)
}

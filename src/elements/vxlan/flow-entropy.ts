/**
 * The source port of a flow, RFC 7348 section 5: a hash of the inner headers in the dynamic range, so that the underlay spreads
 * flows over its ways and keeps each in order.
 */
import { ENTROPY_BASE } from './outer-header.ts'

// What V8 makes has the constants of this module in it, those that it imports are looked up at every use.
const entropyBase = ENTROPY_BASE
const IPV4_TYPE = 0x0800
const IPV6_TYPE = 0x86dd
const TCP = 6
const UDP = 17
/** More fragments, and the offset: a later fragment has no ports, so no fragment is told by them. */
const FRAGMENT_BITS = 0x3fff

/** 49152 to 65535 for the inner frame in [at, end), which has an Ethernet header. */
export function flowPort(view: DataView, at: number, end: number): number {
  const type = view.getUint16(at + 12)
  let hash = 0
  if (type === IPV4_TYPE && at + 34 <= end) {
    const protocol = view.getUint8(at + 23)
    const isWhole = (protocol === TCP || protocol === UDP) && (view.getUint16(at + 20) & FRAGMENT_BITS) === 0
    const ports = at + 14 + ((view.getUint8(at + 14) & 15) << 2)
    return ipv4Port(protocol, view.getInt32(at + 26), view.getInt32(at + 30), isWhole && ports + 4 <= end ? view.getInt32(ports) : 0)
  } else if (type === IPV6_TYPE && at + 54 <= end) {
    const next = view.getUint8(at + 20)
    hash = mix(next, view.getInt32(at + 14) & 0xfffff)
    for (let word = at + 22; word < at + 54; word += 4) hash = mix(hash, view.getInt32(word))
    if ((next === TCP || next === UDP) && at + 58 <= end) hash = mix(hash, view.getInt32(at + 54))
  } else {
    hash = mix(mix(mix(type, view.getInt32(at)), view.getInt32(at + 4)), view.getInt32(at + 8))
  }
  return portOf(hash)
}

/** The same of IPv4 by what it is made of; `ports` 0 where there are none. */
export function ipv4Port(protocol: number, source: number, destination: number, ports: number): number {
  const hash = Math.imul(Math.imul(source ^ protocol, 0x85ebca6b) ^ destination, 0xc2b2ae35) ^ ports
  return portOf(hash)
}

/** 14 bits; also the lowest, by which a fan of sockets goes, differ between flows that differ in their ports only. */
function portOf(hash: number): number {
  const spread = Math.imul(hash ^ (hash >>> 15), 0x9e3779b1)
  return entropyBase | ((spread >>> 18) ^ (spread & 0x3fff))
}

function mix(hash: number, word: number): number {
  return Math.imul(hash ^ word, 0x85ebca6b) ^ (word >>> 13)
}

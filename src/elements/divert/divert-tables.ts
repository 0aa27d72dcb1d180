/**
 * What a divert is told by the control plane, changed record by record.
 */
import { AddressError, addressFamily, formatMac, type Mac, parseIpv4, parseIpv6, parseMac } from '../../wire/address.ts'
import { get32 } from '../../wire/big-endian.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import { ipv6Equal } from '../../wire/ipv6.ts'
import type { PacketView } from '../../wire/packet-view.ts'
import { AddressSet } from './address-set.ts'

/** Gateways of one element. */
export const GATEWAYS_MAX = 32_768

export interface PublishedAddress {
  readonly protocol: 'tcp' | 'udp'
  /** Null: any address of the host; `0.0.0.0` and `::`: any of their family. */
  readonly address: string | null
  readonly port: number
}

export interface DivertChange {
  /** By gateway number: its MAC, or null when it is gone. */
  readonly gateways?: Readonly<Record<string, string | null>>
  /** All addresses that the host has now. */
  readonly hosts?: readonly string[]
  /** By key of the publisher. */
  readonly published?: Readonly<Record<string, PublishedAddress | null>>
}

/** Something that a divert was told and that cannot be: names the field and the value. */
export class DivertError extends Error {
  readonly code = 'ERR_DIVERT_OPTION'
}

/** A published port ready for comparison; `family` 0: any. */
interface Published {
  readonly given: PublishedAddress
  readonly place: number
  readonly family: 0 | 4 | 6
  /** Null: any of the family. */
  readonly address: Uint8Array | number | null
}

export class DivertTables {
  hosts = new AddressSet()
  /** By number; null where there is none. */
  readonly gateways: (Mac | null)[] = []
  private hostTexts: readonly string[] = []
  private readonly byKey = new Map<string, Published>()
  /** By protocol and port. */
  private readonly byPlace = new Map<number, Published[]>()

  get hasPublished(): boolean {
    return this.byKey.size > 0
  }

  /** Whether a TCP or UDP packet to an address of the host is to a published port. */
  isPublished(packet: PacketView): boolean {
    const { bytes, destinationPort, destinationAt } = packet
    if (destinationPort < 0) return false
    const here = this.byPlace.get((packet.protocol << 16) | destinationPort)
    if (here === undefined) return false
    for (const { family, address } of here) {
      if (family !== 0 && family !== packet.family) continue
      if (address === null) return true
      if (typeof address === 'number' ? address === get32(bytes, destinationAt) : ipv6Equal(address, 0, bytes, destinationAt)) return true
    }
    return false
  }

  /** Throws DivertError, and then nothing has changed. Returns the change that undoes this one. */
  update({ gateways = {}, hosts, published = {} }: DivertChange): DivertChange {
    const macs = Object.entries(gateways).map(([key, text]): [number, Mac | null] => [
      readNumber(key),
      text === null ? null : readMac(`gateways.${key}`, text)
    ])
    const set = hosts && readHosts(hosts)
    const ports = Object.entries(published).map(([key, given]): [string, Published | null] => [
      key,
      given && readPublished(`published.${key}`, given)
    ])
    // Nothing can fail from here on.
    const undo = { gateways: {} as Record<string, string | null>, published: {} as Record<string, PublishedAddress | null> }
    for (const [number, mac] of macs) {
      const before = this.gateways[number] ?? null
      undo.gateways[number] = before && formatMac(before)
      while (this.gateways.length <= number) this.gateways.push(null)
      this.gateways[number] = mac
    }
    for (const [key, port] of ports) {
      undo.published[key] = this.byKey.get(key)?.given ?? null
      this.remove(key)
      if (port !== null) this.add(key, port)
    }
    if (set === undefined) return undo
    const before = this.hostTexts
    this.hostTexts = [...hosts!]
    this.hosts = set
    return { ...undo, hosts: before }
  }

  /** For people. */
  describe(): { hosts: readonly string[]; published: PublishedAddress[]; gateways: Record<string, string> } {
    const gateways = Object.fromEntries(this.gateways.flatMap((mac, number) => (mac === null ? [] : [[number, formatMac(mac)]])))
    return { hosts: this.hostTexts, published: Array.from(this.byKey.values(), ({ given }) => given), gateways }
  }

  private add(key: string, port: Published): void {
    this.byKey.set(key, port)
    const here = this.byPlace.get(port.place)
    if (here === undefined) this.byPlace.set(port.place, [port])
    else here.push(port)
  }

  private remove(key: string): void {
    const port = this.byKey.get(key)
    if (port === undefined) return
    this.byKey.delete(key)
    const here = this.byPlace.get(port.place)!
    if (here.length === 1) this.byPlace.delete(port.place)
    else here.splice(here.indexOf(port), 1)
  }
}

function readNumber(key: string): number {
  const number = Number(key)
  if (Number.isInteger(number) && number >= 0 && number < GATEWAYS_MAX) return number
  throw new DivertError(`gateways: ${key} is no number from 0 to ${GATEWAYS_MAX - 1}`)
}

function readMac(field: string, text: string): Mac {
  return named(field, () => parseMac(text))
}

function readHosts(texts: readonly string[]): AddressSet {
  return named('hosts', () => {
    const ipv4 = texts.filter((text) => !text.includes(':')).map(parseIpv4)
    const ipv6 = texts.filter((text) => text.includes(':')).map(parseIpv6)
    return new AddressSet(ipv4, ipv6)
  })
}

function readPublished(field: string, given: PublishedAddress): Published {
  const { protocol, address: text, port } = given
  if (protocol !== 'tcp' && protocol !== 'udp') throw new DivertError(`${field}: the protocol is tcp or udp, not ${protocol}`)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new DivertError(`${field}: ${port} is no port from 1 to 65535`)
  const family = text === null ? 0 : addressFamily(text)
  if (text !== null && family === 0) throw new DivertError(`${field}: "${text}" is no IP address`)
  const isAny = text === null || text === '0.0.0.0' || text === '::'
  const address = isAny ? null : family === 4 ? parseIpv4(text) : parseIpv6(text)
  return { given: { protocol, address: text, port }, place: (IpProtocol[protocol] << 16) | port, family, address }
}

function named<T>(field: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof AddressError) throw new DivertError(`${field}: ${error.message}`)
    throw error
  }
}

import type { DhcpEvent } from '../../elements/dhcp-client/dhcp-client.ts'
import { formatAddress, parseAddress, parseCidr } from '../../wire/cidr.ts'
import { NetworkError } from '../network-error.ts'

/** Our addresses on a LAN: those that were given, and one that is leased. */
export class LanAddresses {
  readonly isLeased: boolean
  /** CIDR. */
  private readonly given: { readonly ipv4?: string; readonly ipv6?: string }
  private lease: { readonly address: string; readonly routers: readonly string[] } | null = null
  /** No server has answered for a while. */
  private isSilent = false

  /** @param given CIDR, at most one of each family. Throws NetworkError `invalid`. */
  constructor(given: readonly string[], isLeased: boolean) {
    const own: { ipv4?: string; ipv6?: string } = {}
    for (const text of given) {
      const name = familyOf(text) === 4 ? 'ipv4' : 'ipv6'
      if (own[name] !== undefined) throw new NetworkError('invalid', `uplink address '${text}' is one more of IPv${name.slice(3)}`)
      own[name] = text
    }
    if (given.length === 0 && !isLeased) {
      throw new NetworkError('invalid', 'an uplink needs an address on its LAN', { fix: 'add address=192.0.2.9/24 or address=dhcp' })
    }
    this.given = own
    this.isLeased = isLeased
  }

  /** CIDR, as they are now. */
  get cidrs(): string[] {
    const { isLeased, lease, isSilent, given } = this
    const ipv4 = isLeased ? (lease?.address ?? (isSilent ? given.ipv4 : undefined)) : given.ipv4
    return [ipv4, given.ipv6].filter((each) => each !== undefined)
  }

  /** Without prefix length; undefined: there is none now. */
  get ipv4(): string | undefined {
    return this.bare(4)
  }

  get ipv6(): string | undefined {
    return this.bare(6)
  }

  /** Both, in canonical form. */
  get hosts(): string[] {
    return [this.ipv4, this.ipv6].flatMap((address) => (address === undefined ? [] : formatAddress(parseAddress(address))))
  }

  /** Those that the server named, while its lease is in use. */
  get routers(): readonly string[] {
    return this.lease?.routers ?? []
  }

  /** What an address can be chosen by before one is leased. */
  get constant(): { readonly ipv4?: string; readonly ipv6?: string } {
    const { ipv4, ipv6 } = this.given
    return { ...(ipv4 !== undefined && { ipv4: withoutLength(ipv4) }), ...(ipv6 !== undefined && { ipv6: withoutLength(ipv6) }) }
  }

  /** True when the addresses or routers are others now. */
  take(event: DhcpEvent): boolean {
    const before = JSON.stringify([this.cidrs, this.routers])
    if (event.kind === 'bound') {
      this.lease = { address: event.address, routers: event.routers }
      this.isSilent = false
    } else if (event.kind === 'lost') this.lease = null
    else if (event.kind === 'silent') this.isSilent = true
    return JSON.stringify([this.cidrs, this.routers]) !== before
  }

  /** What an event, which was taken, means for people. */
  sentence(event: DhcpEvent): string {
    switch (event.kind) {
      case 'bound': {
        const { address, server, leaseSeconds, routers } = event
        const time = leaseSeconds === null ? 'for ever' : `for ${leaseSeconds} s`
        return `our address is ${address}, leased by ${server} ${time}, router ${routers[0] ?? 'unknown'}`
      }
      case 'lost':
        return `our address ${event.address} is lost: ${event.reason}`
      case 'silent':
        return this.given.ipv4 === undefined
          ? 'no DHCP server answers: there is no way out by IPv4 until one does; or give an address, address=192.0.2.9/24'
          : `no DHCP server answers: ${this.given.ipv4} is used until one does`
      case 'taken':
        return `the address ${event.address} that the DHCP server offered is that of ${event.mac} already: it was declined`
    }
  }

  private bare(family: 4 | 6): string | undefined {
    const cidr = this.cidrs.find((each) => parseCidr(each).family === family)
    return cidr === undefined ? undefined : withoutLength(cidr)
  }
}

function familyOf(text: string): 4 | 6 {
  try {
    return parseCidr(text).family
  } catch (cause) {
    const problem = `uplink address '${text}' is wrong: ${(cause as Error).message}`
    throw new NetworkError('invalid', problem, { cause, fix: 'it must look like 192.0.2.9/24' })
  }
}

function withoutLength(cidr: string): string {
  return cidr.slice(0, cidr.indexOf('/'))
}

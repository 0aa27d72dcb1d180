/**
 * The world around a gateway: two bridge networks and an uplink. Every gateway of the differential is set up from this.
 *
 *   a, b   networks with masquerade; stations are spread over slots
 *   up     the way out; a smaller MTU, so that packets must be cut or refused
 */

export interface WorldInterface {
  readonly name: string
  readonly role: 'network' | 'uplink'
  /** Of the gateway's interface. */
  readonly mac: string
  readonly subnet: string
  /** The gateway's address there. */
  readonly address: string
  readonly broadcast: string
  readonly mtu: number
}

export const INTERFACES: readonly WorldInterface[] = [
  {
    name: 'a',
    role: 'network',
    mac: '02:cc:00:00:00:01',
    subnet: '192.0.2.0/24',
    address: '192.0.2.1',
    broadcast: '192.0.2.255',
    mtu: 1500
  },
  {
    name: 'b',
    role: 'network',
    mac: '02:cc:00:00:00:02',
    subnet: '198.51.100.0/24',
    address: '198.51.100.1',
    broadcast: '198.51.100.255',
    mtu: 1500
  },
  {
    name: 'up',
    role: 'uplink',
    mac: '02:cc:00:00:00:03',
    subnet: '203.0.113.0/24',
    address: '203.0.113.1',
    broadcast: '203.0.113.255',
    mtu: 1400
  }
]

/** Numbers of the interfaces. */
export const A = 0
export const B = 1
export const UP = 2

/** The next hop of the default route. */
export const DEFAULT_VIA = '203.0.113.254'
/** What lies behind it: RFC 2544's range, of which slots have an address each. */
export const FAR_PREFIX = '198.18.0.0/15'

/** Streams that stand beside each other on one gateway. */
export const SLOTS = 100

export interface PublishedPort {
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
  readonly target: string
  readonly targetPort: number
  /** Number of the interface of the target. */
  readonly interface: number
}

/** Addresses and ports that belong to one slot. */
export interface Slot {
  readonly number: number
  /** Two stations on `a`, the first of which has published ports. */
  readonly clients: readonly [string, string]
  /** A station on `b`, with a published port. */
  readonly neighbor: string
  /** On the uplink's own LAN. */
  readonly near: string
  /** Behind the default route. */
  readonly far: string
  readonly published: { readonly web: PublishedPort; readonly dns: PublishedPort; readonly other: PublishedPort }
}

export function slotOf(number: number): Slot {
  const client = `192.0.2.${10 + 2 * number}`
  const neighbor = `198.51.100.${10 + number}`
  return {
    number,
    clients: [client, `192.0.2.${11 + 2 * number}`],
    neighbor,
    near: `203.0.113.${10 + number}`,
    far: `198.18.0.${10 + number}`,
    published: {
      web: { protocol: 'tcp', port: 8000 + number, target: client, targetPort: 80, interface: A },
      dns: { protocol: 'udp', port: 8000 + number, target: client, targetPort: 53, interface: A },
      other: { protocol: 'tcp', port: 8200 + number, target: neighbor, targetPort: 8080, interface: B }
    }
  }
}

export const PUBLISHED: readonly PublishedPort[] = Array.from({ length: SLOTS }, (_, number) => slotOf(number).published).flatMap(
  ({ web, dns, other }) => [web, dns, other]
)

/** The MAC of a station: made from its address, as Docker does. */
export function stationMac(address: string): string {
  return `02:42:${address
    .split('.')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join(':')}`
}

/** Every address of the networks but the gateway's and the broadcast address, with the number of its interface: nobody is asked for. */
export function* stations(): Generator<{ address: string; interface: number; mac: string }> {
  for (const [number, { subnet, address }] of INTERFACES.entries()) {
    const prefix = subnet.slice(0, subnet.lastIndexOf('.') + 1)
    for (let host = 0; host < 255; host++) {
      const station = `${prefix}${host}`
      if (station !== address) yield { address: station, interface: number, mac: stationMac(station) }
    }
  }
}

/**
 * What the NAT is told: its options, and the records that the control plane changes while frames flow.
 */
import { addressFamily } from '../../wire/address.ts'
import { type Prefix, parseCidr } from '../../wire/cidr.ts'
import { FLOWS_MAX } from './conntrack.ts'
import { NatOptionsError } from './nat-options-error.ts'
import { readTimeouts, type Timeouts } from './timeouts.ts'

/** Two ports each. */
export const INTERFACES_MAX = 32_768

/** One interface of router and NAT. */
export interface InterfaceSpec {
  /** `network`: a bridge with stations of ours. `uplink`: the way out. */
  readonly role: 'network' | 'uplink'
  /** As it is shown. */
  readonly name: string
  /** CIDR: the source addresses that may come in here. Needed for a network; an uplink takes all but those of networks. */
  readonly subnets: readonly string[]
  /** The router's addresses here, without prefix length: the source of flows to published ports that come from a network. */
  readonly gateway?: string
  readonly gateway6?: string
  /** A network: its flows get the uplink's address when they leave by an uplink. */
  readonly masquerade: boolean
  /** A network: nothing in or out by the gateway. */
  readonly internal: boolean
  /** A network: its stations may reach each other through the gateway. */
  readonly icc: boolean
  /** An uplink: the address that masqueraded flows get; without one, flows of that family keep theirs. */
  readonly snat?: string
  readonly snat6?: string
}

/** A port of the host that leads to a station. */
export interface PublishedPort {
  readonly protocol: 'tcp' | 'udp'
  /** Host address; null: any of `local` and the gateways' own of the target's family. */
  readonly address: string | null
  readonly port: number
  readonly target: string
  readonly targetPort: number
  /** The interface of the target's network. */
  readonly interface: number
  /** The target itself is no more reachable from the uplink than without this port. Default false. */
  readonly onlyLocal?: boolean
}

/** All records, by interface number and by a key that the control plane chooses. */
export interface NatRecords {
  readonly interfaces?: Readonly<Record<string, InterfaceSpec>>
  readonly published?: Readonly<Record<string, PublishedPort>>
  /** Addresses that mean the host, both families; those of `gateway` and `snat` need not be among them. */
  readonly local?: readonly string[]
}

/** Records that come or are replaced whole; null: that goes. `local` is replaced whole. */
export interface NatChange {
  readonly interfaces?: Readonly<Record<string, InterfaceSpec | null>>
  readonly published?: Readonly<Record<string, PublishedPort | null>>
  readonly local?: readonly string[]
}

export interface NatSettings {
  /** Flows at most; default 262,144 (nf_conntrack_max). */
  readonly capacity?: number
  /** Seconds, Linux's defaults. */
  readonly timeouts?: Timeouts
  /**
   * RFC 4787 4.1. Default `address-and-port-dependent`, as Linux: one external port serves many internal ones while their destinations
   * differ. `endpoint-independent`: an internal address and port has one external port, whoever it talks to.
   */
  readonly mapping?: 'address-and-port-dependent' | 'endpoint-independent'
  /** First and last port for flows whose own port is taken; default [1024, 65535]. Ports below 1024 stay below, as in Linux. */
  readonly portRange?: readonly [first: number, last: number]
  /** Take over TCP connections in mid-stream; default true. */
  readonly tcpLoose?: boolean
  /** Judge TCP windows for resets only; default false. */
  readonly tcpLiberal?: boolean
  /** Repeats of a segment until the connection's time-out is shortened; default 3. */
  readonly tcpMaxRetrans?: number
  /**
   * UDP from a station of ours to a published port by an address of the host that is no gateway's is answered from the station's gateway, as
   * Docker's proxy does (recorded: port-udp). A connected socket does not hear such an answer. Default true; false: from the address asked.
   */
  readonly udpProxyAnswers?: boolean
  /** Flows and paths leave by the shortcut; default true. Off for comparisons. */
  readonly fastPath?: boolean
}

/** Records in new options replace all records; without, the records stay. */
export interface NatOptions extends NatSettings, NatRecords {}

export interface ReadSettings {
  readonly capacity: number
  readonly timeouts: Int32Array
  readonly endpointIndependent: boolean
  readonly firstPort: number
  readonly lastPort: number
  readonly tcp: { readonly loose: boolean; readonly liberal: boolean; readonly maxRetrans: number }
  readonly udpProxyAnswers: boolean
  readonly fastPath: boolean
}

const DEFAULT_CAPACITY = 262_144
const DEFAULT_MAX_RETRANS = 3

/** Throws NatOptionsError. */
export function readNatSettings(options: NatSettings): ReadSettings {
  const { capacity = DEFAULT_CAPACITY, mapping = 'address-and-port-dependent', portRange = [1024, 65_535] } = options
  const { tcpLoose = true, tcpLiberal = false, tcpMaxRetrans = DEFAULT_MAX_RETRANS, udpProxyAnswers = true, fastPath = true } = options
  whole('capacity', capacity, 1, FLOWS_MAX)
  whole('tcpMaxRetrans', tcpMaxRetrans, 1, 255)
  const [firstPort, lastPort] = portRange
  whole('portRange', firstPort, 1024, 65_535)
  whole('portRange', lastPort, firstPort, 65_535)
  if (mapping !== 'address-and-port-dependent' && mapping !== 'endpoint-independent') {
    throw new NatOptionsError('mapping', mapping, "is not 'address-and-port-dependent' or 'endpoint-independent'")
  }
  return {
    capacity,
    timeouts: readTimeouts(options.timeouts),
    endpointIndependent: mapping === 'endpoint-independent',
    firstPort,
    lastPort,
    tcp: { loose: tcpLoose, liberal: tcpLiberal, maxRetrans: tcpMaxRetrans },
    udpProxyAnswers,
    fastPath
  }
}

/** The number of an interface from its key; throws NatOptionsError. */
export function interfaceNumber(key: string): number {
  const number = Number(key)
  whole('interface', number, 0, INTERFACES_MAX - 1)
  return number
}

/** The prefixes of an interface, everything else of it checked; throws NatOptionsError or AddressError. */
export function checkInterface(key: string, spec: InterfaceSpec): Prefix[] {
  const field = `interfaces.${key}`
  if (spec.role !== 'network' && spec.role !== 'uplink')
    throw new NatOptionsError(`${field}.role`, spec.role, "is not 'network' or 'uplink'")
  if (typeof spec.name !== 'string') throw new NatOptionsError(`${field}.name`, spec.name, 'is no text')
  for (const name of ['gateway', 'snat'] as const) {
    family(`${field}.${name}`, spec[name], 4)
    family(`${field}.${name}6`, spec[`${name}6`], 6)
  }
  return spec.subnets.map(parseCidr)
}

/** Throws NatOptionsError. */
export function checkPublished(key: string, { protocol, address, port, target, targetPort, interface: number }: PublishedPort): void {
  const field = `published.${key}`
  if (protocol !== 'tcp' && protocol !== 'udp') throw new NatOptionsError(`${field}.protocol`, protocol, "is not 'tcp' or 'udp'")
  whole(`${field}.port`, port, 1, 65_535)
  whole(`${field}.targetPort`, targetPort, 1, 65_535)
  whole(`${field}.interface`, number, 0, INTERFACES_MAX - 1)
  const targetFamily = addressFamily(target)
  if (targetFamily === 0) throw new NatOptionsError(`${field}.target`, target, 'is no address')
  if (address !== null && addressFamily(address) !== targetFamily) {
    throw new NatOptionsError(`${field}.address`, address, `is no IPv${targetFamily} address as the target is`)
  }
}

/** Throws NatOptionsError. */
export function checkLocal(addresses: readonly string[]): void {
  for (const address of addresses) if (addressFamily(address) === 0) throw new NatOptionsError('local', address, 'is no address')
}

function family(field: string, address: string | undefined, wanted: 4 | 6): void {
  if (address !== undefined && addressFamily(address) !== wanted) throw new NatOptionsError(field, address, `is no IPv${wanted} address`)
}

function whole(field: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new NatOptionsError(field, value, `is not a whole number from ${least} to ${most}`)
  }
}

/**
 * A capture of every port (`everyPort`) as a recording: what came in by each (an endpoint sent it, or the world by the way out), which can be
 * played again, and what went out, which must come out again.
 */

import type { CapturedFrame, CaptureInterface } from '../capture/capture-reader.ts'
import { Direction } from '../capture/frame-record.ts'
import { readCapture } from '../capture/read-capture.ts'
import { type CableSetting, parseCableWords } from '../network/emulated/cable-words.ts'
import { type EndpointSetting, parseEndpointWords } from '../network/endpoint-words.ts'
import { NetworkError } from '../network/network-error.ts'
import { parseRemoteWords } from '../network/remote-words.ts'
import { formatIpv4, formatIpv6, formatMac, macAt } from '../wire/address.ts'
import { get32 } from '../wire/big-endian.ts'
import { formatPrefix, parseCidr } from '../wire/cidr.ts'
import { givenNames } from './given-names.ts'
import { type TunnelChange, tunnelChange, underlaySetting } from './recorded-tunnel.ts'

export interface RecordedPort {
  /**
   * An endpoint of a network, the host's own station on one, or the way out; an interface of the machine on which networks stand; in a
   * lab of hosts a cable to a LAN; what a VTEP sends by its machine's underlay, or its host's router.
   */
  readonly kind: 'endpoint' | 'host' | 'uplink' | 'parent' | 'cable' | 'underlay'
  /** As the capture calls it: `lan/web`, `lan/host`, `uplink`; in a lab of hosts `host1/lan/web`, `host1/eth0`. */
  readonly label: string
  /** Of the lab that it is on; '' where there is one alone. */
  readonly host: string
  /** '' for the way out; of a cable its LAN. */
  readonly network: string
  /** `web`; of the way out its interface, `netloom0`; of a parent its name; of a cable whose it is; of an underlay its kind. */
  readonly name: string
  readonly mac: string
  /** CIDR; IPv4 first. */
  readonly addresses: readonly string[]
  /** By which others find an endpoint, as the capture knew last; none where it does not tell. */
  names: readonly string[]
  readonly comment: string
  /** When the capture came to know of it, ns since 1970: no later than its first frame. */
  readonly sinceNs: bigint
  /** What came in by it: each a nanosecond after what any endpoint sent before, at least. */
  readonly inputs: CapturedFrame[]
  /** What went out by it. */
  readonly outputs: Uint8Array[]
  /** When, ns since 1970: what leaves in one turn of the engine has one time. */
  readonly outputTimes: bigint[]
}

export interface RecordedNetwork {
  /** Of the lab that it is on; '' where there is one alone. */
  readonly host: string
  readonly name: string
  readonly driver: string
  /** CIDR, of IPv4: one, or several of an overlay network. */
  readonly subnets: string[]
  /** '' without IPv6. */
  subnet6: string
  /** What is not as by default; the gateways also where the host has a station on it. */
  setting: EndpointSetting['network']
}

export interface Recording {
  readonly networks: readonly RecordedNetwork[]
  readonly ports: readonly RecordedPort[]
  /** What became known of other machines, oldest first. */
  readonly tunnel: readonly TunnelChange[]
  /** Names of interfaces that cannot be played: endpoints of networks whose parent, or whose underlay, was not captured. */
  readonly leftOut: readonly string[]
  /** Of the engine that was recorded; undefined: the capture does not tell. */
  readonly seed: string | undefined
  /** Whether a daemon, or a lab of hosts, wrote it: its names are answered as Docker's. */
  readonly isDocker: boolean
  /** Of the first and the last frame, ns since 1970. */
  readonly firstNs: bigint
  readonly lastNs: bigint
}

/** Reads it whole. Throws NetworkError `invalid` when it is no recording, CaptureFormatError, CaptureFileError. */
export function readRecording(input: string | Uint8Array): Recording {
  const reader = readCapture(input)
  const places = new RecordedPlaces()
  const ports: (RecordedPort | null)[] = []
  const tunnel: TunnelChange[] = []
  let [first, last, lastInput, noted] = [-1n, 0n, 0n, 0]
  for (const frame of reader) {
    const { timestampNs } = frame
    if (first < 0n) first = last = timestampNs
    // Interfaces stand in the file before what comes from them, and after what came before they were there.
    while (ports.length < reader.interfaces.length) ports.push(places.port(reader.interfaces[ports.length], last))
    for (; noted < reader.names.length; noted++) {
      const change = tunnelChange(reader.names[noted], last)
      if (change !== null) tunnel.push(change)
    }
    if (timestampNs > last) last = timestampNs
    const port = ports[frame.interface]
    // A frame with a verdict was dropped: it is neither sent nor got, but told of.
    if (port === null || frame.verdict !== undefined) continue
    if (frame.data.length < frame.originalLength) {
      throw new NetworkError('invalid', 'the capture has frames that its snap length cut', {
        fix: 'record whole frames, without a snap length'
      })
    }
    const direction = (frame.flags ?? 0) & 3
    if (direction === Direction.inbound) {
      // What came in within one turn of the engine has one time, but an order, which is that of the file.
      lastInput = timestampNs > lastInput ? timestampNs : lastInput + 1n
      port.inputs.push({ ...frame, interface: 0, timestampNs: lastInput })
    } else if (direction === Direction.outbound) {
      port.outputs.push(frame.data)
      port.outputTimes.push(timestampNs)
    }
  }
  // Of a host that no cable tells of, nobody knows where it was.
  const hosts = ports.filter((port) => port?.kind === 'cable' && cableSetting(port).end === 'host').map((port) => port!.name)
  const cut = places.networks.filter((network) => lacksParent(network, ports) || lacksUnderlay(network, ports))
  const hasOverlay = places.networks.some((network) => network.host === '' && network.driver === 'overlay' && !cut.includes(network))
  const isCut = (port: RecordedPort): boolean =>
    port.kind === 'underlay'
      ? port.host === '' && !hasOverlay
      : port.kind === 'endpoint' && cut.some(({ host, name }) => host === port.host && name === port.network)
  const found = ports.filter((port) => port !== null).filter((port) => (port.host === '' || hosts.includes(port.host)) && !isCut(port))
  if (!found.some(({ inputs }) => inputs.length > 0)) {
    throw new NetworkError('invalid', 'the capture has no frames that endpoints of netloom sent', {
      fix: "record one with lab.capture(file, { everyPort: true }) or 'netloom capture'"
    })
  }
  const elsewhere = new Set(tunnel.flatMap((change) => ('vteps' in change ? [] : [change.remote.names.join(' ')])))
  for (const { address, names, comment = '' } of reader.names) {
    // A station on another machine may have the address of one here; beside its second address stands no comment.
    if (names.length === 0 || parseRemoteWords(comment) !== null) continue
    const text = address.length === 4 ? formatIpv4(get32(address, 0)) : formatIpv6(address)
    const there = found.filter(({ kind, addresses }) => kind === 'endpoint' && addresses.some((cidr) => cidr.split('/')[0] === text))
    // Networks of different hosts may have the same addresses.
    const meant = there.filter(({ name }) => names.includes(name))
    const named = meant.length > 0 ? meant : there.filter(({ network }) => !elsewhere.has(givenNames(names, network).join(' ')))
    for (const port of named) port.names = givenNames(names, port.network)
  }
  const leftOut = reader.interfaces.flatMap(({ name }, index) => (found.includes(ports[index]!) ? [] : [name ?? String(index)]))
  const { comment = '', application = '' } = reader.sections[0] ?? {}
  return {
    networks: places.networks.filter((network) => (network.host === '' || hosts.includes(network.host)) && !cut.includes(network)),
    ports: found,
    tunnel,
    leftOut,
    seed: SEED.exec(comment)?.[1],
    isDocker: /^netloom \S/.test(application),
    firstNs: first,
    lastNs: last
  }
}

/** Whether a network is on an interface of the machine that was not captured: nobody knows what came in by it. */
function lacksParent({ host, setting: { internal, driverOptions } }: RecordedNetwork, ports: readonly (RecordedPort | null)[]): boolean {
  const { parent } = (driverOptions ?? {}) as { parent?: string }
  if (host !== '' || parent === undefined || internal === true) return false
  return !ports.some((port) => port?.kind === 'parent' && (parent === port.name || parent.startsWith(`${port.name}.`)))
}

/** Whether an overlay network is on an underlay of the machine that was not captured: the same. */
function lacksUnderlay({ host, driver }: RecordedNetwork, ports: readonly (RecordedPort | null)[]): boolean {
  return host === '' && driver === 'overlay' && !ports.some((port) => port !== null && underlaySetting(port) !== null)
}

/** Of a cable: what stands at its end. */
export function cableSetting({ comment }: RecordedPort): Required<CableSetting> {
  return parseCableWords(comment)
}

/** In a section's comment, behind the lab's description and before the capture's own comment. */
const SEED = /(?:^|, )seed ([^;]+)(?:; |$)/
/** What an interface's description says that it is: see CapturePoint. */
const ENDPOINT = /^(bridge|overlay|macvlan|ipvlan) network (.+), endpoint (.+)$/s
const HOST = /^the host's \S+ on network (.+)$/s
const UPLINK = /^the way out, (.+)$/s
const PARENT = /^interface (.+), parent of networks$/s
const CABLE = /^cable of (.+)\/(?:eth\d+) to (.+)$/s
const UNDERLAY = /^VXLAN between hosts, underlay (\S+)$/

/** What interfaces are, and the networks that endpoints are on. */
class RecordedPlaces {
  readonly networks: RecordedNetwork[] = []

  /** null: what cannot be played and compared. */
  port(info: CaptureInterface, sinceNs: bigint): RecordedPort | null {
    const { name: label = '', description = '', comment = '', ipv4 = [], ipv6 = [] } = info
    if (info.mac === undefined) return null
    const addresses = [
      ...ipv4.map(({ address, mask }) => `${formatIpv4(get32(address, 0))}/${maskLength(mask)}`),
      ...ipv6.map(({ address, prefixLength }) => `${formatIpv6(address)}/${prefixLength}`)
    ]
    const mac = formatMac(macAt(info.mac, 0))
    const rest = { label, mac, addresses, names: [], comment, sinceNs, inputs: [], outputs: [], outputTimes: [] }
    const [, way] = UPLINK.exec(description) ?? []
    if (way !== undefined) return { kind: 'uplink', host: '', network: '', name: way, ...rest }
    const [, parent] = PARENT.exec(description) ?? []
    if (parent !== undefined) return { kind: 'parent', host: '', network: '', name: parent, ...rest }
    const [, owner, lan] = CABLE.exec(description) ?? []
    if (owner !== undefined) return { kind: 'cable', host: '', network: lan!, name: owner, ...rest }
    const [, underlay] = UNDERLAY.exec(description) ?? []
    if (underlay !== undefined) return { kind: 'underlay', host: hostOf(label, 2), network: '', name: underlay, ...rest }
    const [, driver, network, name] = ENDPOINT.exec(description) ?? ['', 'bridge', HOST.exec(description)?.[1], 'host']
    if (network === undefined || ipv4.length === 0) return null
    const host = hostOf(label, 3)
    const isHost = !ENDPOINT.test(description)
    const made = this.network(host, network, driver!)
    const subnet = subnetOf(addresses[0])
    if (!made.subnets.includes(subnet)) made.subnets.push(subnet)
    if (ipv6.length > 0) made.subnet6 = subnetOf(addresses[ipv4.length])
    const [gateway, gateway6] = addresses.map((cidr) => cidr.split('/')[0])
    const setting = isHost ? { gateway, ...(gateway6 !== undefined && { gateway6 }) } : parseEndpointWords(comment).network
    made.setting = { ...made.setting, ...setting }
    return { kind: isHost ? 'host' : 'endpoint', host, network, name: name!, ...rest }
  }

  private network(host: string, name: string, driver: string): RecordedNetwork {
    const known = this.networks.find((each) => each.host === host && each.name === name)
    if (known !== undefined) return known
    const network = { host, name, driver, subnets: [], subnet6: '', setting: {} }
    this.networks.push(network)
    return network
  }
}

/** In a lab of several hosts names begin with the host's. @param parts of a name that does */
function hostOf(label: string, parts: number): string {
  const all = label.split('/')
  return all.length === parts ? all[0] : ''
}

function subnetOf(cidr: string): string {
  return formatPrefix(parseCidr(cidr))
}

function maskLength(mask: Uint8Array): number {
  const host = ~get32(mask, 0)
  return host === 0 ? 32 : Math.clz32(host)
}

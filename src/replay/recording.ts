/**
 * A capture of every port (`everyPort`) as a recording: what came in by each (an endpoint sent it, or the world by the way out), which can be
 * played again, and what went out, which must come out again.
 */

import type { CapturedFrame, CaptureInterface } from '../capture/capture-reader.ts'
import { Direction } from '../capture/frame-record.ts'
import { readCapture } from '../capture/read-capture.ts'
import { NetworkError } from '../network/network-error.ts'
import { formatIpv4, formatIpv6, formatMac, macAt } from '../wire/address.ts'
import { get32 } from '../wire/big-endian.ts'
import { formatPrefix, parseCidr } from '../wire/cidr.ts'

export interface RecordedPort {
  /** An endpoint of a network, the host's own station on one, or the way out. */
  readonly kind: 'endpoint' | 'host' | 'uplink'
  /** As the capture calls it: `lan/web`, `lan/host`, `uplink`. */
  readonly label: string
  /** '' for the way out. */
  readonly network: string
  /** `web`; of the way out its interface, `netloom0`. */
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
  readonly name: string
  /** CIDR. */
  readonly subnet: string
  /** '' without IPv6. */
  readonly subnet6: string
  /** Where the host has a station on it: the gateways that it has the addresses of. */
  readonly gateways: { readonly gateway?: string; readonly gateway6?: string }
}

export interface Recording {
  readonly networks: readonly RecordedNetwork[]
  readonly ports: readonly RecordedPort[]
  /** Names of interfaces that cannot be played: an underlay, a parent, a cable, endpoints of other networks than bridges. */
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
  const networks = new Map<string, RecordedNetwork>()
  const ports: (RecordedPort | null)[] = []
  let [first, last, lastInput] = [-1n, 0n, 0n]
  for (const frame of reader) {
    const { timestampNs } = frame
    if (first < 0n) first = last = timestampNs
    // Interfaces stand in the file before what comes from them, and after what came before they were there.
    while (ports.length < reader.interfaces.length) ports.push(portOf(reader.interfaces[ports.length], last, networks))
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
  const found = ports.filter((port) => port !== null)
  if (!found.some(({ inputs }) => inputs.length > 0)) {
    throw new NetworkError('invalid', 'the capture has no frames that endpoints of netloom sent', {
      fix: "record one with lab.capture(file, { everyPort: true }) or 'netloom capture'"
    })
  }
  for (const { address, names } of reader.names) {
    const text = address.length === 4 ? formatIpv4(get32(address, 0)) : formatIpv6(address)
    const port = found.find(({ kind, addresses }) => kind === 'endpoint' && addresses.some((cidr) => cidr.split('/')[0] === text))
    if (port !== undefined) port.names = givenNames(names, port.network)
  }
  const leftOut = reader.interfaces.flatMap((info, index) => (ports[index] == null ? [info.name ?? String(index)] : []))
  const { comment = '', application = '' } = reader.sections[0] ?? {}
  return {
    networks: [...networks.values()],
    ports: found,
    leftOut,
    seed: SEED.exec(comment)?.[1],
    isDocker: /^netloom \S/.test(application),
    firstNs: first,
    lastNs: last
  }
}

/** In a section's comment, behind the lab's description and before the capture's own comment. */
const SEED = /(?:^|, )seed ([^;]+)(?:; |$)/
/** What an interface's description says that it is: see CapturePoint. */
const ENDPOINT = /^bridge network (.+), endpoint (.+)$/s
const HOST = /^the host's \S+ on network (.+)$/s
const UPLINK = /^the way out, (.+)$/s

/** null: what cannot be played and compared. */
function portOf(info: CaptureInterface, sinceNs: bigint, networks: Map<string, RecordedNetwork>): RecordedPort | null {
  const { name: label = '', description = '', comment = '', ipv4 = [], ipv6 = [] } = info
  if (info.mac === undefined) return null
  const addresses = [
    ...ipv4.map(({ address, mask }) => `${formatIpv4(get32(address, 0))}/${maskLength(mask)}`),
    ...ipv6.map(({ address, prefixLength }) => `${formatIpv6(address)}/${prefixLength}`)
  ]
  const rest = {
    label,
    mac: formatMac(macAt(info.mac, 0)),
    addresses,
    names: [],
    comment,
    sinceNs,
    inputs: [],
    outputs: [],
    outputTimes: []
  }
  const [, way] = UPLINK.exec(description) ?? []
  if (way !== undefined) return { kind: 'uplink', network: '', name: way, ...rest }
  const [, network, name] = ENDPOINT.exec(description) ?? [undefined, HOST.exec(description)?.[1], 'host']
  // In a lab of several hosts names begin with the host's: their networks may have the same addresses.
  if (network === undefined || ipv4.length === 0 || label.split('/').length !== 2) return null
  const subnet6 = ipv6.length === 0 ? (networks.get(network)?.subnet6 ?? '') : subnetOf(addresses[ipv4.length])
  const isHost = !ENDPOINT.test(description)
  const [gateway, gateway6] = addresses.map((cidr) => cidr.split('/')[0])
  const gateways = isHost ? { gateway, ...(gateway6 !== undefined && { gateway6 }) } : (networks.get(network)?.gateways ?? {})
  networks.set(network, { name: network, subnet: subnetOf(addresses[0]), subnet6, gateways })
  return { kind: isHost ? 'host' : 'endpoint', network, name: name!, ...rest }
}

/** Docker's containers are found by the beginning of their id too. */
const SHORT_ID = /^[0-9a-f]{12}$/

/** The names that an endpoint had been given, from those that a capture has of it: see endpointNames. */
function givenNames(names: readonly string[], network: string): string[] {
  const own = names.filter((name) => !name.endsWith(`.${network}`))
  return [...own.filter((name) => !SHORT_ID.test(name)).reverse(), ...own.filter((name) => SHORT_ID.test(name))]
}

function subnetOf(cidr: string): string {
  return formatPrefix(parseCidr(cidr))
}

function maskLength(mask: Uint8Array): number {
  const host = ~get32(mask, 0)
  return host === 0 ? 32 : Math.clz32(host)
}

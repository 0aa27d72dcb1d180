/**
 * A capture of every port (`everyPort`) as a recording: what each endpoint sent, which can be played again, and what it got, which must
 * come out again.
 */

import type { CapturedFrame, CaptureInterface } from '../capture/capture-reader.ts'
import { Direction } from '../capture/frame-record.ts'
import { readCapture } from '../capture/read-capture.ts'
import { NetworkError } from '../network/network-error.ts'
import { formatIpv4, formatIpv6, formatMac, macAt } from '../wire/address.ts'
import { get32 } from '../wire/big-endian.ts'
import { formatPrefix, parseCidr } from '../wire/cidr.ts'

export interface RecordedPort {
  readonly network: string
  readonly name: string
  readonly mac: string
  readonly address: string
  /** '' without IPv6. */
  readonly address6: string
  /** When the capture came to know of it, ns since 1970: no later than its first frame. */
  readonly sinceNs: bigint
  /** What the endpoint sent: each a nanosecond after what any endpoint sent before, at least. */
  readonly inputs: CapturedFrame[]
  /** What it got. */
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
}

export interface Recording {
  readonly networks: readonly RecordedNetwork[]
  readonly ports: readonly RecordedPort[]
  /** Names of interfaces that are no endpoints of a network: an uplink, an underlay. */
  readonly leftOut: readonly string[]
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
  const leftOut = reader.interfaces.flatMap((info, index) => (ports[index] == null ? [info.name ?? String(index)] : []))
  return { networks: [...networks.values()], ports: found, leftOut, firstNs: first, lastNs: last }
}

/** null: it is no endpoint of a network. */
function portOf(info: CaptureInterface, sinceNs: bigint, networks: Map<string, RecordedNetwork>): RecordedPort | null {
  const [network, name, more] = (info.name ?? '').split('/')
  const ipv4 = info.ipv4?.[0]
  if (network === '' || name === undefined || more !== undefined || ipv4 === undefined || info.mac === undefined) return null
  const address = formatIpv4(get32(ipv4.address, 0))
  const ipv6 = info.ipv6?.[0]
  const before = networks.get(network)
  const subnet6 = ipv6 === undefined ? (before?.subnet6 ?? '') : subnetOf(`${formatIpv6(ipv6.address)}/${ipv6.prefixLength}`)
  networks.set(network, { name: network, subnet: subnetOf(`${address}/${maskLength(ipv4.mask)}`), subnet6 })
  const address6 = ipv6 === undefined ? '' : formatIpv6(ipv6.address)
  return { network, name, mac: formatMac(macAt(info.mac, 0)), address, address6, sinceNs, inputs: [], outputs: [], outputTimes: [] }
}

function subnetOf(cidr: string): string {
  return formatPrefix(parseCidr(cidr))
}

function maskLength(mask: Uint8Array): number {
  const host = ~get32(mask, 0)
  return host === 0 ? 32 : Math.clz32(host)
}

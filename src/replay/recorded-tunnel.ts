/**
 * The other machines of an overlay network, as a daemon's recording has them: what came from them by its underlay comes in again, and what
 * goes to them ends, and is compared.
 *
 *   underlay/recorded (replay) -- 0 | overlay/vxlan | N -- bridge of a network
 */
import type { CaptureNames } from '../capture/capture-reader.ts'
import { OverlayDriver } from '../network/drivers/overlay-driver.ts'
import type { RemoteEndpoint } from '../network/remote-endpoint.ts'
import { parseRemoteWords, parseVtepWords, type RemoteSetting } from '../network/remote-words.ts'
import type { Underlay, UnderlayPart, UnderlayTarget } from '../network/underlay.ts'
import { parseUnderlayWords, type UnderlaySetting } from '../network/underlays/underlay-words.ts'
import { get16, put16 } from '../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_TYPE, EtherType } from '../wire/ethernet.ts'
import { checkIpv4, IPV4_CHECKSUM, IPV4_ID } from '../wire/ipv4.ts'
import { givenNames } from './given-names.ts'
import type { RecordedPort } from './recording.ts'

/** Where the underlay is played. */
export const RECORDED_UNDERLAY = 'underlay/recorded'

/** What the daemon was told of other machines, and when. */
export type TunnelChange = { readonly timeNs: bigint } & (
  | { readonly vteps: readonly string[] }
  | { readonly network: string; readonly remote: RemoteEndpoint; readonly isGone: boolean }
)

/** From what a capture says beside names; null: nothing of other machines. @param timeNs of the frame before it in the file */
export function tunnelChange({ comment, names }: CaptureNames, timeNs: bigint): TunnelChange | null {
  if (comment === undefined) return null
  const vteps = parseVtepWords(comment)
  if (vteps !== null) return { timeNs, vteps }
  const setting = parseRemoteWords(comment)
  return setting === null ? null : { timeNs, network: setting.network, remote: remoteOf(setting, names), isGone: setting.vtep === null }
}

function remoteOf({ network, mac, address, address6, vtep }: RemoteSetting, names: readonly string[]): RemoteEndpoint {
  return { id: `${network}/${address}`, names: givenNames(names, network), address, address6, mac, vtep: vtep ?? '' }
}

/** Of a machine's underlay; null where the capture does not tell. */
export function underlaySetting({ kind, host, addresses, comment }: RecordedPort): UnderlaySetting | null {
  return kind === 'underlay' && host === '' && addresses.length > 0 ? parseUnderlayWords(comment) : null
}

/**
 * The driver of overlay networks on it. @param port of which `underlaySetting` tells
 * @param startNs engine time of the recording's first frame
 */
export function recordedOverlay(port: RecordedPort, startNs: number): OverlayDriver {
  const [address] = port.addresses[0].split('/')
  const setting = underlaySetting(port)!
  return new OverlayDriver({ underlay: () => new RecordedUnderlay(port, setting, startNs), address, port: setting.port })
}

class RecordedUnderlay implements Underlay {
  readonly kind: Underlay['kind']
  private readonly part: Omit<UnderlayPart, 'address'>

  constructor({ name, mac }: RecordedPort, { mtu, nextHopMac, port }: UnderlaySetting, startNs: number) {
    this.kind = name as Underlay['kind']
    const options = { isEndpoint: true, mtu, vxlanPort: port, startNs }
    const elements = { [RECORDED_UNDERLAY]: { type: 'replay', options } }
    this.part = { elements, links: [], port: [RECORDED_UNDERLAY, 0], mac, nextHopMac, mtu }
  }

  async open({ address }: UnderlayTarget): Promise<UnderlayPart> {
    return { ...this.part, address }
  }

  async close(): Promise<void> {}
}

/**
 * An outer frame without the identification of its IPv4 packet, and the checksum over it: packets are counted from when the VTEP came to be,
 * also those before the capture and of all endpoints in one turn of the engine; over UDP sockets the kernel counts anew.
 */
export function withoutNumber(frame: Uint8Array): Uint8Array {
  const at = ETHERNET_HEADER_LENGTH
  if (frame.length < at || get16(frame, ETHERNET_TYPE) !== EtherType.ipv4 || !checkIpv4(frame, at, frame.length)) return frame
  const copy = frame.slice()
  put16(copy, at + IPV4_ID, 0)
  put16(copy, at + IPV4_CHECKSUM, 0)
  return copy
}

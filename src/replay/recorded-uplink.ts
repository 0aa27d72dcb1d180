/**
 * The way out of a recording: what came in by it comes in again, and what goes out by it ends, and is compared.
 *
 *   gateway/nat -- 0 | uplink/NAME (replay)          the uplink's own wire
 *   divert      -- 0 | NETWORK/host (replay)         the host's station on a network, where the recording has one
 */
import type { TopologyElement } from '../engine/index.ts'
import type { NetworkTap, Uplink, UplinkNetwork, UplinkPart } from '../network/uplink.ts'
import { parseUplinkWords } from '../network/uplink-words.ts'
import type { RecordedPort } from './recording.ts'

export class RecordedUplink implements Uplink {
  readonly kind = 'interface'
  /** Where the way out is played. */
  readonly element: string
  private readonly uplink: RecordedPort
  /** The host's stations, by network. */
  private readonly hosts: ReadonlyMap<string, RecordedPort>
  private readonly startNs: number

  /**
   * @param ports of the recording: the one of kind `uplink`, and those of kind `host`
   * @param startNs engine time of the recording's first frame
   */
  constructor(uplink: RecordedPort, ports: readonly RecordedPort[], startNs: number) {
    this.uplink = uplink
    this.element = `uplink/${uplink.name}`
    this.hosts = new Map(ports.filter(({ kind }) => kind === 'host').map((port) => [port.network, port]))
    this.startNs = startNs
  }

  async start(): Promise<UplinkPart> {
    const { name, mac, addresses, comment } = this.uplink
    const { interface: setting, hostAddresses, ...more } = parseUplinkWords(comment)
    // The host's own stations came after the way out was told of.
    const stations = [...this.hosts.values()].flatMap((port) => port.addresses.map((cidr) => cidr.split('/')[0]!))
    return {
      ...more,
      hostAddresses: [...new Set([...hostAddresses, ...stations])],
      elements: { [this.element]: this.wire(setting.mtu) },
      links: [],
      port: [this.element, 0],
      interface: { ...setting, name, mac, addresses }
    }
  }

  async addNetwork({ name, mtu }: UplinkNetwork): Promise<NetworkTap | null> {
    return this.hosts.has(name) ? { tap: this.wire(mtu) } : null
  }

  async removeNetwork(): Promise<void> {}

  /** What comes for a published port comes by the wires. */
  async publish(): Promise<void> {}

  async unpublish(): Promise<void> {}

  async close(): Promise<void> {}

  private wire(mtu: number): TopologyElement {
    return { type: 'replay', options: { isEndpoint: true, mtu, startNs: this.startNs } }
  }
}

/**
 * A virtual host: an IP station inside the process, with ARP and neighbor discovery, echo and UDP.
 */

import type { ElementCounters, Plain } from '../engine/index.ts'
import type { NetworkController } from '../network/controller.ts'
import type { Endpoint } from '../network/endpoint.ts'
import { NetworkError } from '../network/network-error.ts'
import type { FloodResult } from '../stack/bulk-transfer.ts'
import type { PingResult } from '../stack/pinger.ts'
import { addressFamily } from '../wire/address.ts'
import type { LabNetwork } from './lab-network.ts'
import { type Datagram, LabSocket } from './lab-socket.ts'
import type { LabLink } from './testing/lab-link.ts'

export interface PingOptions {
  /** Echo requests to send; default 1. */
  readonly count?: number
  /** Between requests, milliseconds; default 1000. */
  readonly intervalMs?: number
  /** For each answer, milliseconds; default 1000. */
  readonly timeoutMs?: number
  /** Payload bytes; default 56. */
  readonly size?: number
}

export interface BulkOptions {
  /** Bytes of data to move. */
  readonly bytes: number
  /** Bytes of one datagram; what fits the MTU by default. */
  readonly size?: number
  /** Bits per second; as fast as acknowledgments come by default. */
  readonly rate?: number
}

export class LabHost {
  readonly network: LabNetwork
  readonly endpoint: Endpoint
  private readonly controller: NetworkController
  private readonly sockets = new Map<number, LabSocket>()
  /** Why it takes no commands; null: it does. */
  private failure: string | null = null

  constructor(controller: NetworkController, network: LabNetwork, endpoint: Endpoint) {
    this.controller = controller
    this.network = network
    this.endpoint = endpoint
    controller.engine.listen(endpoint.element, (event) => this.hear(event))
  }

  get name(): string {
    return this.endpoint.name
  }

  get address(): string {
    return this.endpoint.address
  }

  get mac(): string {
    return this.endpoint.mac
  }

  /** Sends echo requests to an address or a name. Rejects when the name has no address. */
  async ping(target: string, options: PingOptions = {}): Promise<PingResult> {
    const address = await this.addressOf(target)
    return (await this.command('ping', { count: 1, intervalMs: 1000, timeoutMs: 1000, size: 56, ...options, address })) as PingResult
  }

  /** Asks the network's DNS. Empty when the name exists without addresses of this family; rejects when it does not. */
  async resolve(name: string, family: 4 | 6 = 4): Promise<string[]> {
    const { addresses, rcode } = (await this.command('resolve', { name, family })) as { addresses: string[]; rcode: string }
    if (rcode !== 'NOERROR') {
      throw new NetworkError('not-found', `${this.name}: '${name}' is not known: the DNS answered ${rcode}`)
    }
    return addresses
  }

  /** A UDP socket; port 0 takes a free one. */
  async udp(port = 0): Promise<LabSocket> {
    const bound = (await this.command('udpBind', { port })) as { port: number }
    const socket = new LabSocket(bound.port, (verb, argument) => this.command(verb, argument))
    socket.onClose = () => this.sockets.delete(bound.port)
    this.sockets.set(bound.port, socket)
    return socket
  }

  /** Has a UDP port take what another host's `bulk` sends; 0 takes a free one. Gives the port. */
  async sink(port = 0): Promise<number> {
    return ((await this.command('udpSink', { port })) as { port: number }).port
  }

  /** Moves bytes to another host's sink as datagrams, from inside the engine; what is lost is sent again. */
  async bulk(target: string, port: number, options: BulkOptions): Promise<FloodResult> {
    const address = await this.addressOf(target)
    return (await this.command('udpFlood', { ...options, address, toPort: port })) as FloodResult
  }

  /** Sends a frame as it is, Ethernet header and all. */
  async sendFrame(bytes: Uint8Array): Promise<void> {
    await this.command('sendFrame', { data: bytes })
  }

  /** Its link to the network: to be cut, restored and shaped. */
  get link(): LabLink {
    return this.network.link(this.name)
  }

  counters(): ElementCounters {
    return this.controller.endpointCounters(this.network.network, this.endpoint)
  }

  /** Unplugs the host from the network. */
  async remove(): Promise<void> {
    this.controller.engine.listen(this.endpoint.element, null)
    await this.controller.disconnect(this.network.name, this.name)
    for (const socket of this.sockets.values()) socket.end()
  }

  /** The host has failed: it forgets everything, what waits for it is refused, and it takes no commands until `recover`. */
  async fail(): Promise<void> {
    this.failure = `${this.name} is down`
    for (const socket of this.sockets.values()) socket.end()
    await this.controller.restart(this.network.name, this.name)
  }

  recover(): void {
    this.failure = null
  }

  private async addressOf(target: string): Promise<string> {
    if (addressFamily(target) !== 0) return target
    const [address] = await this.resolve(target)
    if (address === undefined) throw new Error(`${this.name}: '${target}' has no IPv4 address`)
    return address
  }

  private command(verb: string, argument: Plain): Promise<Plain> {
    if (this.failure !== null) return Promise.reject(new NetworkError('closed', this.failure))
    return this.controller.command(this.network.network, this.endpoint, verb, argument)
  }

  private hear(event: Plain): void {
    const { kind, port, address, fromPort, data } = event as { kind: string; port: number } & Omit<Datagram, 'port'> & { fromPort: number }
    if (kind === 'udp') this.sockets.get(port)?.deliver({ address, port: fromPort, data })
  }
}

/**
 * What the control plane may ask of a virtual host. Every answer comes by `reply`; a bad argument is an error that says which.
 */
import type { ElementContext, Plain, Reply } from '../engine/element.ts'
import { type FrameHandle, NO_FRAME } from '../engine/frame-pool.ts'
import { ETHERNET_HEADER_LENGTH } from '../wire/ethernet.ts'
import type { PacketView } from '../wire/packet-view.ts'
import type { BulkTransfer, FloodOptions } from './bulk-transfer.ts'
import type { IpOutput } from './ip-output.ts'
import { addressBytes, addressText } from './ip-packet.ts'
import type { Pinger, PingOptions } from './pinger.ts'
import type { Resolver } from './resolver.ts'
import type { UdpSockets } from './udp-sockets.ts'

/** Arguments by verb; results are in README.md. */
export interface HostCommandArguments {
  ping: PingOptions
  resolve: { readonly name: string; readonly family?: 4 | 6 }
  udpBind: { readonly port: number }
  /** `port` 0 or not bound: any free port, for this datagram alone. */
  udpSend: { readonly port: number; readonly address: string; readonly toPort: number; readonly data: Uint8Array }
  udpClose: { readonly port: number }
  udpFlood: FloodOptions
  udpSink: { readonly port: number }
  udpSinkStats: { readonly port: number }
  /** A frame of 14 bytes and more, sent as it is. */
  sendFrame: { readonly data: Uint8Array }
}

export class HostCommands {
  private readonly context: ElementContext
  private readonly output: IpOutput
  private readonly udp: UdpSockets
  private readonly pinger: Pinger
  private readonly resolver: Resolver
  private readonly bulk: BulkTransfer
  private readonly transmit: (frame: FrameHandle) => void

  constructor(
    context: ElementContext,
    output: IpOutput,
    udp: UdpSockets,
    pinger: Pinger,
    resolver: Resolver,
    bulk: BulkTransfer,
    transmit: (frame: FrameHandle) => void
  ) {
    this.context = context
    this.transmit = transmit
    this.output = output
    this.udp = udp
    this.pinger = pinger
    this.resolver = resolver
    this.bulk = bulk
  }

  run(verb: string, argument: Plain, reply: Reply): void {
    try {
      this.dispatch(verb, argument, reply)
    } catch (error) {
      reply(error as Error)
    }
  }

  private dispatch(verb: string, argument: Plain, reply: Reply): void {
    if (typeof argument !== 'object' || argument === null) throw new TypeError(`${verb}: the argument must be an object`)
    switch (verb) {
      case 'ping':
        return this.pinger.start(argument as PingOptions, reply)
      case 'resolve': {
        const { name, family } = argument as HostCommandArguments['resolve']
        return this.resolver.resolve(name, family, reply)
      }
      case 'udpBind': {
        const port: number = this.udp.bind((argument as HostCommandArguments['udpBind']).port, (packet, at, length, fromPort) =>
          this.emitDatagram(port, packet, at, length, fromPort)
        )
        return reply(null, { port })
      }
      case 'udpSend':
        return this.send(argument as HostCommandArguments['udpSend'], reply)
      case 'udpClose': {
        const { port } = argument as HostCommandArguments['udpClose']
        if (!this.udp.unbind(port)) throw new RangeError(`udpClose: port ${port} is not bound`)
        this.bulk.closeSink(port)
        return reply(null)
      }
      case 'udpFlood':
        return this.bulk.start(argument as FloodOptions, reply)
      case 'udpSink':
        return reply(null, { port: this.bulk.openSink((argument as HostCommandArguments['udpSink']).port) })
      case 'udpSinkStats': {
        const { port } = argument as HostCommandArguments['udpSinkStats']
        const statistics = this.bulk.statistics(port)
        if (statistics === undefined) throw new RangeError(`udpSinkStats: port ${port} is no sink`)
        return reply(null, statistics)
      }
      case 'sendFrame':
        return this.sendFrame((argument as HostCommandArguments['sendFrame']).data, reply)
      default:
        throw new TypeError(`a host has no command '${verb}'`)
    }
  }

  /** The host ends: whoever waits for an answer gets one. */
  close(): void {
    this.pinger.close()
    this.resolver.close()
    this.bulk.close()
  }

  private send({ port, address, toPort, data }: HostCommandArguments['udpSend'], reply: Reply): void {
    if (!Number.isInteger(toPort) || toPort < 1 || toPort > 65535) throw new RangeError(`toPort ${toPort} is not a number from 1 to 65535`)
    if (!(data instanceof Uint8Array)) throw new TypeError('data is not a Uint8Array')
    const route = this.output.route(addressBytes(address))
    const isBound = port !== 0 && this.udp.isBound(port)
    const fromPort = isBound ? port : this.udp.bind(port, () => {})
    if (!isBound) this.udp.unbind(fromPort)
    const refused = this.udp.send(route, fromPort, toPort, data, (error) => {
      if (error === null) reply(null, { port: fromPort })
      else reply(error)
    })
    if (refused !== null) reply(refused)
  }

  private sendFrame(data: Uint8Array, reply: Reply): void {
    if (!(data instanceof Uint8Array) || data.length < ETHERNET_HEADER_LENGTH)
      throw new RangeError('a frame is a Uint8Array of 14 bytes and more')
    const { frames } = this.context
    const frame = frames.allocate(data.length)
    if (frame === NO_FRAME) throw new RangeError(`a frame of ${data.length} bytes fits no slot, or none is free`)
    frames.bytes(frame).set(data, frames.start[frame])
    this.context.enter(frame)
    this.transmit(frame)
    reply(null)
  }

  private emitDatagram(port: number, packet: PacketView, at: number, length: number, fromPort: number): void {
    const { bytes, sourceAt, addressLength } = packet
    const address = addressText(bytes, sourceAt, addressLength)
    // A copy of its own: the event outlives the frame.
    this.context.emit({ kind: 'udp', port, address, fromPort, data: bytes.slice(at, at + length) })
  }
}

import dgram from 'node:dgram'
import type { Timers } from '../../../engine/clock.ts'
import { addressFamily } from '../../../wire/address.ts'
import type { UplinkPort } from '../../uplink.ts'
import type { PortProxy } from './tcp-proxy.ts'

/** How long a client's way stays without a datagram in either direction: Docker's. */
const IDLE_MS = 90_000
/** Clients at once; a new one then takes the place of the one that was silent longest. */
const CLIENTS_MAX = 1024
/** Datagrams that wait for a client's socket, which takes a moment. */
const WAITING_MAX = 16

/** One client's way: a socket of its own, so that answers find back. */
interface Way {
  readonly backend: dgram.Socket
  /** null when they go at once. */
  waiting: Uint8Array[] | null
  isUsed: boolean
}

/**
 * Takes datagrams to the published address and sends them to the target, each client's from a port of its own; answers go back.
 * Rejects with the system's error (EADDRINUSE, EADDRNOTAVAIL, EACCES).
 */
export function openUdpProxy(port: UplinkPort, timers: Timers): Promise<PortProxy> {
  return new UdpProxy(port, timers).open()
}

class UdpProxy implements PortProxy {
  private readonly published: UplinkPort
  private readonly timers: Timers
  private readonly server: dgram.Socket
  /** By client, `address port`; the one that was silent longest first. */
  private readonly ways = new Map<string, Way>()
  private cancelSweep = (): void => {}

  constructor(port: UplinkPort, timers: Timers) {
    this.published = port
    this.timers = timers
    const type = socketType(port.address)
    this.server = dgram.createSocket({ type, ipv6Only: type === 'udp6' })
  }

  open(): Promise<PortProxy> {
    const { server, published: port } = this
    return new Promise((resolve, reject) => {
      const failed = (error: Error): void => {
        server.close()
        reject(error)
      }
      server.once('error', failed)
      server.bind({ address: port.address, port: port.port, exclusive: true }, () => {
        server.off('error', failed)
        server.on('error', () => {}) // of a datagram that could not be sent: it is lost, as any may be
        server.on('message', (data, { address, port: from }) => this.fromClient(data, address, from))
        this.sweepLater()
        resolve(this)
      })
    })
  }

  get port(): number {
    return this.server.address().port
  }

  close(): Promise<void> {
    this.cancelSweep()
    for (const key of this.ways.keys()) this.end(key)
    return new Promise((resolve) => {
      this.server.close(() => resolve())
    })
  }

  private fromClient(data: Uint8Array, address: string, from: number): void {
    const key = `${address} ${from}`
    const way = this.ways.get(key) ?? this.begin(key, address, from)
    // Last in the order of the map: used last.
    this.ways.delete(key)
    this.ways.set(key, way)
    way.isUsed = true
    if (way.waiting === null) way.backend.send(data)
    else if (way.waiting.length < WAITING_MAX) way.waiting.push(data)
  }

  private begin(key: string, address: string, from: number): Way {
    if (this.ways.size >= CLIENTS_MAX) for (const oldest of this.ways.keys()) if (this.end(oldest)) break
    const { target, targetPort } = this.published
    const backend = dgram.createSocket(socketType(target))
    const way: Way = { backend, waiting: [], isUsed: true }
    // Nobody listens at the target (ICMP): the client is left to its own patience. Without a socket there is no way, and the client's
    // next datagram tries again.
    backend.on('error', () => {
      if (way.waiting !== null) this.end(key, way)
    })
    backend.on('message', (data) => {
      way.isUsed = true
      // Port 0 expects no answer (RFC 768), and none can be sent there.
      if (from !== 0) this.server.send(data, from, address)
    })
    backend.connect(targetPort, target, (error?: Error) => {
      // A socket that is not connected, or was closed meanwhile, throws when it is to send.
      if (error) return void this.end(key, way)
      if (this.ways.get(key) !== way) return
      for (const data of way.waiting ?? []) backend.send(data)
      way.waiting = null
    })
    return way
  }

  /** Did it exist? With `only`, when it is this one. */
  private end(key: string, only?: Way): boolean {
    const way = this.ways.get(key)
    if (way === undefined || (only !== undefined && way !== only)) return false
    way.backend.close()
    return this.ways.delete(key)
  }

  /** A way ends between one and two idle times after its last datagram. */
  private sweepLater(): void {
    this.cancelSweep = this.timers.after(IDLE_MS, () => {
      for (const [key, way] of this.ways) {
        if (!way.isUsed) this.end(key)
        way.isUsed = false
      }
      this.sweepLater()
    })
  }
}

function socketType(address: string): 'udp4' | 'udp6' {
  return addressFamily(address) === 6 ? 'udp6' : 'udp4'
}

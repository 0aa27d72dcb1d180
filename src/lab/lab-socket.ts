/**
 * A UDP socket of a virtual host.
 */
import type { Plain } from '../engine/index.ts'
import { NetworkError } from '../network/network-error.ts'

export interface Datagram {
  /** Who sent it. */
  readonly address: string
  readonly port: number
  readonly data: Uint8Array
}

/** Datagrams that wait for `receive`; more are dropped, as a full socket buffer does. */
const QUEUE_MAX = 4096

export class LabSocket {
  readonly port: number
  /** Datagrams that found the queue full. */
  dropped = 0
  /** Called once when the socket ends. */
  onClose: () => void = () => {}
  private readonly command: (verb: string, argument: Plain) => Promise<Plain>
  private readonly queue: Datagram[] = []
  private readonly waiting: { resolve: (datagram: Datagram) => void; reject: (error: Error) => void }[] = []
  private ended = false

  constructor(port: number, command: (verb: string, argument: Plain) => Promise<Plain>) {
    this.port = port
    this.command = command
  }

  /** At most 65,507 bytes; what does not fit the MTU leaves as IPv4 fragments. */
  async send(address: string, port: number, data: Uint8Array | string): Promise<void> {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data
    await this.command('udpSend', { port: this.port, address, toPort: port, data: bytes })
  }

  /** The oldest datagram, or the next one that comes. Rejects when the socket is closed. */
  receive(): Promise<Datagram> {
    const datagram = this.queue.shift()
    if (datagram !== undefined) return Promise.resolve(datagram)
    if (this.ended) return Promise.reject(new NetworkError('closed', `UDP port ${this.port} is closed`))
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }))
  }

  async close(): Promise<void> {
    if (this.ended) return
    this.end()
    await this.command('udpClose', { port: this.port })
  }

  /** The engine has a datagram for this socket. */
  deliver(datagram: Datagram): void {
    const next = this.waiting.shift()
    if (next !== undefined) next.resolve(datagram)
    else if (this.queue.length < QUEUE_MAX) this.queue.push(datagram)
    else this.dropped++
  }

  /** No more datagrams will come. */
  end(): void {
    if (this.ended) return
    this.ended = true
    this.onClose()
    for (const { reject } of this.waiting.splice(0)) reject(new NetworkError('closed', `UDP port ${this.port} is closed`))
  }
}

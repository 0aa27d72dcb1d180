/**
 * One question to one DNS server, over a socket of its own: a fresh source port each time, so that an answer cannot be
 * guessed (RFC 5452), and a connected socket, so that the kernel lets through only what comes from the server.
 */
import { createSocket } from 'node:dgram'
import { connect, isIPv6 } from 'node:net'
import type { Timers } from '../engine/clock.ts'
import { get16, put16 } from '../wire/big-endian.ts'
import { DNS_HEADER_LENGTH, DnsFlag, lowerCase } from './dns-format.ts'

export interface DnsServer {
  readonly address: string
  /** Default 53. */
  readonly port?: number
}

/** A query under way. `promise` is null when no valid answer came: time-out, refused port, broken connection, or cancelled. */
export interface UpstreamQuery {
  readonly promise: Promise<Uint8Array | null>
  cancel(): void
}

/** Asks by UDP. What does not answer this question is left unread. */
export function askByUdp(server: DnsServer, query: Uint8Array, timeoutMs: number, timers: Timers): UpstreamQuery {
  const socket = createSocket(isIPv6(server.address.split('%')[0]) ? 'udp6' : 'udp4')
  const { promise, settle } = settledOnce(timeoutMs, timers, () => socket.close())
  socket.on('error', () => settle(null)) // ICMP port unreachable arrives as ECONNREFUSED
  socket.on('message', (message) => {
    if (answersQuery(message, query)) settle(Uint8Array.from(message))
  })
  socket.connect(server.port ?? 53, server.address, () => {
    // An early time-out or a failed connect has closed it.
    try {
      socket.send(query)
    } catch {
      settle(null)
    }
  })
  return { promise, cancel: () => settle(null) }
}

/** Asks by TCP: RFC 7766. */
export function askByTcp(server: DnsServer, query: Uint8Array, timeoutMs: number, timers: Timers): UpstreamQuery {
  const socket = connect({ host: server.address, port: server.port ?? 53 })
  const { promise, settle } = settledOnce(timeoutMs, timers, () => socket.destroy())
  const framed = new Uint8Array(2 + query.length)
  put16(framed, 0, query.length)
  framed.set(query, 2)
  socket.on('connect', () => socket.write(framed))
  socket.on('error', () => settle(null))
  socket.on('close', () => settle(null))
  let received = Buffer.alloc(0)
  socket.on('data', (part) => {
    received = Buffer.concat([received, part])
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return
    const message = Uint8Array.from(received.subarray(2, 2 + received.readUInt16BE(0)))
    settle(answersQuery(message, query) ? message : null)
  })
  return { promise, cancel: () => settle(null) }
}

/**
 * Whether a message answers the query: same id, a response, and the same question, letters of either case (RFC 5452 9.1).
 * An error without a question is taken too: some servers leave it out when they could not read it.
 */
export function answersQuery(message: Uint8Array, query: Uint8Array): boolean {
  if (message.length < DNS_HEADER_LENGTH || get16(message, 0) !== get16(query, 0)) return false
  const flags = get16(message, 2)
  if ((flags & DnsFlag.response) === 0) return false
  if (get16(message, 4) === 0) return (flags & DnsFlag.rcode) !== 0
  const end = questionEnd(query)
  if (get16(message, 4) !== 1 || message.length < end) return false
  for (let i = DNS_HEADER_LENGTH; i < end; i++) if (lowerCase(message[i]) !== lowerCase(query[i])) return false
  return true
}

/** The query is well formed: the service forwards nothing else. */
function questionEnd(query: Uint8Array): number {
  let at = DNS_HEADER_LENGTH
  while (at < query.length && query[at] !== 0) at += 1 + query[at]
  return Math.min(query.length, at + 5)
}

function settledOnce(
  timeoutMs: number,
  timers: Timers,
  cleanUp: () => void
): { promise: Promise<Uint8Array | null>; settle: (value: Uint8Array | null) => void } {
  let resolve: (value: Uint8Array | null) => void
  const promise = new Promise<Uint8Array | null>((fulfil) => {
    resolve = fulfil
  })
  let isSettled = false
  const settle = (value: Uint8Array | null): void => {
    if (isSettled) return
    isSettled = true
    stop()
    cleanUp()
    resolve(value)
  }
  const stop = timers.after(timeoutMs, () => settle(null))
  return { promise, settle }
}

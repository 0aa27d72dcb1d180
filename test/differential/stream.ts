/**
 * A stream: a few flows and the frames that their ends send, as plain data. Ports that a gateway chose are not in it: the far end of a
 * flow answers whatever address and port it saw.
 */
import type { Slot } from './world.ts'

export type Party = 'client' | 'server'

/** An end of a flow: behind which interface, and its address. For ICMP queries the port is the id. */
export interface End {
  readonly interface: number
  readonly address: string
  readonly port: number
}

export interface Flow {
  /** 1 (queries), 6, 17, or another one without ports. */
  readonly protocol: number
  readonly client: End
  /** What the client sends to. */
  readonly to: { readonly address: string; readonly port: number }
  /** Who gets it, should it pass: the same, or the target of a published port. */
  readonly server: End
}

/** A TCP segment; flags as in TcpFlag; options in hexadecimal; `length` of the payload in bytes. */
export interface TcpBody {
  readonly kind: 'tcp'
  readonly flags: number
  readonly seq: number
  readonly ack: number
  readonly window?: number
  readonly options?: string
  readonly length?: number
}

export interface UdpBody {
  readonly kind: 'udp'
  readonly length: number
  readonly noChecksum?: boolean
}

/** An ICMP query or its answer: the id is the flow's. */
export interface QueryBody {
  readonly kind: 'query'
  readonly type: number
  readonly code?: number
  readonly sequence: number
  readonly length: number
}

/** An ICMP error about the last packet that the sender got on this flow (or should have got). */
export interface ErrorBody {
  readonly kind: 'error'
  readonly type: number
  readonly code: number
  /** Second word of the header: MTU, pointer, gateway. */
  readonly rest: number
  /** Bytes of the packet that are quoted, at most. */
  readonly quote: number
  /** XORed into the quoted packet. */
  readonly edits?: readonly Edit[]
}

/** Any other protocol. */
export interface OtherBody {
  readonly kind: 'other'
  readonly length: number
}

export type Body = TcpBody | UdpBody | QueryBody | ErrorBody | OtherBody

/** XORed into the byte at an offset from the IP header. */
export interface Edit {
  readonly at: number
  readonly xor: number
}

export interface Step {
  /** Index into `flows`. */
  readonly flow: number
  readonly from: Party
  readonly body: Body
  /** IP id: unique in the stream, but for fragments of one packet. */
  readonly id: number
  readonly ttl?: number
  readonly tos?: number
  readonly dontFragment?: boolean
  /** A super-frame: payload bytes of its segments. */
  readonly segment?: number
  /** In hexadecimal, a multiple of four bytes. */
  readonly options?: string
  /** Only this part of the IP payload is sent: offset and length in bytes. */
  readonly fragment?: { readonly offset: number; readonly length: number; readonly more: boolean }
  /** The sender's address or port when it is not the flow's. */
  readonly source?: { readonly address?: string; readonly port?: number }
  /** Where it goes when it does not go to the flow's other end. */
  readonly destination?: { readonly address?: string; readonly port?: number }
  /** It comes in here, and not where its sender is. */
  readonly interface?: number
  readonly edits?: readonly Edit[]
  /** After the edits, checksums and lengths are made right again. */
  readonly repair?: boolean
  /** Bytes that are cut off the end of the frame, or (negative) added as padding. */
  readonly cut?: number
}

export interface Stream {
  readonly seed: number | string
  readonly number: number
  /** Which generator made it. */
  readonly kind: string
  readonly slot: Slot
  /** Seconds of virtual time after each step. */
  readonly pace: number
  readonly flows: readonly Flow[]
  readonly steps: readonly Step[]
}

/** For people: one line for each flow and each step. */
export function formatStream(stream: Stream): string {
  const end = ({ interface: number, address, port }: End): string => `${address}:${port}@${number}`
  const flows = stream.flows.map(
    ({ protocol, client, to, server }, index) =>
      `flow ${index}: protocol ${protocol} ${end(client)} -> ${to.address}:${to.port} (${end(server)})`
  )
  const steps = stream.steps.map((step, index) => `${index}: ${formatStep(step)}`)
  return [`seed ${stream.seed}, stream ${stream.number}, ${stream.kind}`, ...flows, ...steps].join('\n')
}

export function formatStep({ flow, from, body, ...rest }: Step): string {
  return `flow ${flow} ${from} ${JSON.stringify(body)} ${JSON.stringify(rest)}`
}

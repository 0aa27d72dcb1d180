import type { TcpSequences } from './tcp-sequences.ts'

/** What is handed from header to header. */
export interface DecodeContext {
  /** Absent: TCP's numbers are shown as they are. */
  readonly sequences?: TcpSequences | undefined
  /** Frames around this one: VXLAN within VXLAN ends somewhere. */
  readonly depth: number
  /** The text of an Ethernet frame within this one. */
  readonly nested: (bytes: Uint8Array, at: number, end: number, wireEnd: number, context: DecodeContext) => string
}

/** A payload between its headers' ends. */
export interface Payload {
  readonly at: number
  /** Where the captured bytes end, or the packet before them. */
  readonly end: number
  /** Bytes that the packet had there, by its own headers: with a snap length more than `end - at`. */
  readonly length: number
}

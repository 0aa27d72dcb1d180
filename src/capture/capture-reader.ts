/** One interface as a capture describes it. */
export interface CaptureInterface {
  linkType: number
  /** 0 = no limit. */
  snapLength: number
  /** Bytes of the frame check sequence at the end of each frame; undefined: none, or not told. */
  fcsLength?: number
  name?: string
  description?: string
  mac?: Uint8Array
  ipv4?: { address: Uint8Array; mask: Uint8Array }[]
  ipv6?: { address: Uint8Array; prefixLength: number }[]
  /** bit/s */
  speed?: bigint
  filter?: string
  os?: string
  comment?: string
  /** Counts of its statistics block, once that has been read. */
  statistics?: CaptureStatistics
}

/** An interface statistics block; times are ns since 1970. */
export interface CaptureStatistics {
  start?: bigint
  end?: bigint
  received?: bigint
  dropped?: bigint
  accepted?: bigint
  osDropped?: bigint
  delivered?: bigint
}

/** A record of a name resolution block. */
export interface CaptureNames {
  address: Uint8Array
  names: string[]
  /** Of the block, with its first record; of a block without records there is an entry whose address is empty. */
  comment?: string
}

/** One section header. A classic pcap has one, with nothing in it. */
export interface CaptureSection {
  application?: string
  hardware?: string
  os?: string
  comment?: string
}

/** One frame of a capture. */
export interface CapturedFrame {
  /** Index into the reader's `interfaces`; counted over all sections. */
  interface: number
  /** ns since 1970. 0 where the format gives none (Simple Packet Block). */
  timestampNs: bigint
  /** What was captured: a view, valid as long as it is held. */
  data: Uint8Array
  /** Length on the wire. */
  originalLength: number
  /** Several comments are joined by newlines. */
  comment?: string
  /** epb_flags word. */
  flags?: number
  packetId?: bigint
  dropCount?: bigint
  /** `type` is one of `VerdictType`, `data` what follows it. */
  verdict?: { type: number; data: Uint8Array }
}

/**
 * A capture being read: iterate it once for its frames. `interfaces`, `sections` and `names` grow as the iteration comes
 * upon them; a file is closed when it ends, by itself, by an error or by `break`. A file that was cut short ends the iteration and
 * sets `truncatedAt`; a malformed one throws CaptureFormatError, after every frame before the fault.
 */
export interface CaptureReader extends Iterable<CapturedFrame> {
  readonly format: 'pcap' | 'pcapng'
  readonly sections: CaptureSection[]
  readonly interfaces: CaptureInterface[]
  readonly names: CaptureNames[]
  /** Offset of the first block or record that the file does not have whole; undefined = the file is whole, so far. */
  readonly truncatedAt: number | undefined
  /** Offset of the first block or record that was not read yet. */
  readonly position: number
  /** The next frame; undefined when there is none, or none that is whole: of a stream, ask again when more has come. */
  read(): CapturedFrame | undefined
}

/** More than any block a capture tool writes: a longer length field is a fault, not a frame. */
export const MAX_BLOCK = 16 << 20

/**
 * One frame on its way into a capture file.
 *
 * A mutable record that its owner fills again for every frame, so that nothing is allocated per frame: whoever is
 * given one reads it at once and keeps neither it nor `bytes`.
 */
export class FrameRecord {
  /** Interface number, as `addInterface` gave it. */
  port = 0
  /** ns since the capture's base time. A double: exact to 2^53 ns (104 days), to 2 ns up to 208 days; fractions are cut off. */
  timestamp = 0
  /** epb_flags word: direction in bits 0-1, reception type in bits 2-4 (see `Direction`, `Reception`). 0 = not written. */
  flags = 0
  /** Number that joins the copies and rewrites of one frame, 0 = none. Written as epb_packetid. */
  packetId = 0
  /** -1 = none; otherwise the value of a verdict of type Linux_eBPF_TC (`TC_ACT_SHOT` = dropped). */
  verdict = -1
  /** Number that `addComment` or `CaptureSink.comment` gave, -1 = none. */
  comment = -1
  /** Frames of this interface that were lost between the one before and this one; 0 = not written. */
  lost = 0
  /** A checksum still to be completed in the copy: csumStart << 16 | csumOffset (from the frame's first byte), 0 = none. */
  checksum = 0
  /** A super-frame: virtio's gso_type, payload bytes of each of its packets, bytes of its headers; all 0: it is none. */
  gsoType = 0
  gsoSize = 0
  headerLength = 0
  /** Where the frame is: `captured` bytes from `at` in `bytes`. */
  bytes: Uint8Array = EMPTY
  at = 0
  captured = 0
  /** Length of the frame on the wire, at least `captured`. */
  original = 0
}

const EMPTY = new Uint8Array(0)

/** Bits 0-1 of epb_flags, seen from netloom: a frame from an endpoint comes in, a frame to an endpoint goes out. */
export const Direction = { unknown: 0, inbound: 1, outbound: 2 } as const

/** Bits 2-4 of epb_flags, already shifted. */
export const Reception = { unknown: 0, unicast: 1 << 2, multicast: 2 << 2, broadcast: 3 << 2, promiscuous: 4 << 2 } as const

/** Linux's "drop" among the TC verdicts (include/uapi/linux/pkt_cls.h), which Wireshark shows by that name. */
export const TC_ACT_SHOT = 2

/** Where the engine puts copies of frames; never blocks, never throws. */
export interface CaptureSink {
  /** At most this many bytes of a frame are worth passing. */
  readonly snapLength: number
  /** Takes one copy. False = it was dropped, and counted as dropped. */
  record(frame: FrameRecord): boolean
  /** Counts a frame that the capture's filter did not want. */
  refuse(port: number): void
  /** A number for `FrameRecord.comment`: the same for the same text; -1 when there is no room for it. */
  comment(text: string): number
  /** Makes what was recorded since the last call visible to the writer: once per batch, not per frame. */
  publish(): void
}

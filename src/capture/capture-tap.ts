/**
 * One capture as the engine's thread sees it: what it wants of a frame, and where the copy goes.
 */
import { FrameFlag, type FrameHandle, type FramePool } from '../engine/frame-pool.ts'
import { CaptureRingProducer } from './capture-ring.ts'
import type { BpfProgram } from './filter/bpf-instruction.ts'
import { type FrameFilter, filterFunction } from './filter/filter-function.ts'
import { type CaptureSink, Direction, FrameRecord, Reception } from './frame-record.ts'
import { DEFAULT_SNAP_LENGTH } from './pcapng-writer.ts'

/** Where copies go: to `sink` (an engine of the same thread) or to `ring` (any thread). */
export interface CaptureTarget {
  readonly sink?: CaptureSink
  readonly ring?: SharedArrayBuffer
  /** The doorbell of the ring's consumer, where it has several rings. */
  readonly bell?: SharedArrayBuffer
  /** Bytes kept of a frame in `ring`; all by default. */
  readonly snapLength?: number
  /** Frames that it refuses are not recorded, and it may ask for fewer bytes. */
  readonly filter?: BpfProgram
}

/** What `CaptureTap.record` did. */
export const Taken = { refused: 0, recorded: 1, dropped: 2 } as const

/** One for all places at which a capture is: they share a filter, a ring and the comments in it. */
export class CaptureTap {
  readonly sink: CaptureSink
  /** Bytes of the last frame that was recorded. */
  captured = 0
  private readonly filter: FrameFilter | null
  private readonly copy = new FrameRecord()

  constructor({ sink, ring, bell, snapLength = DEFAULT_SNAP_LENGTH, filter }: CaptureTarget) {
    if (sink === undefined && ring === undefined) throw new TypeError('a capture needs a sink or a ring')
    this.sink = sink ?? new CaptureRingProducer(ring!, snapLength, bell)
    this.filter = filter === undefined ? null : filterFunction(filter)
  }

  /** @param port number of the interface; the result is one of `Taken` */
  record(frames: FramePool, frame: FrameHandle, now: number, port: number, direction: number, verdict = -1, comment = ''): number {
    const { sink, copy } = this
    const at = frames.start[frame]
    const bytes = frames.bytes(frame)
    const length = frames.length[frame]
    let captured = Math.min(length, sink.snapLength)
    if (this.filter !== null) {
      const wanted = this.filter(bytes, at, length)
      if (wanted === 0) {
        sink.refuse(port)
        return Taken.refused
      }
      // A filter's number is 32 bits without a sign.
      if (wanted > 0 && wanted < captured) captured = wanted
    }
    const flags = frames.flags[frame]
    copy.port = port
    copy.timestamp = now
    copy.flags = direction | receptionOf(bytes, at, length)
    copy.packetId = frames.packetId[frame]
    copy.verdict = verdict
    copy.comment = comment === '' ? -1 : sink.comment(comment)
    copy.checksum = (flags & FrameFlag.csum) === 0 ? 0 : (frames.csumStart[frame] << 16) | frames.csumOffset[frame]
    const isSuper = (flags & FrameFlag.gso) !== 0
    copy.gsoType = isSuper ? frames.gsoType[frame] : 0
    copy.gsoSize = isSuper ? frames.gsoSize[frame] : 0
    copy.headerLength = isSuper ? frames.hdrLen[frame] : 0
    copy.bytes = bytes
    copy.at = at
    copy.captured = this.captured = captured
    copy.original = length
    return sink.record(copy) ? Taken.recorded : Taken.dropped
  }
}

/** One tap for each target that the engine was given by name: many elements are at the same capture. */
const taps = new WeakMap<CaptureTarget, CaptureTap>()

/** The tap of a target; the same one for the same object. Throws CaptureFilterError for a filter that is none. */
export function tapOf(target: CaptureTarget): CaptureTap {
  let tap = taps.get(target)
  if (tap === undefined) taps.set(target, (tap = new CaptureTap(target)))
  return tap
}

/** From the destination address; a frame without a whole one has none. */
function receptionOf(bytes: Uint8Array, at: number, length: number): number {
  if (length < 6) return Reception.unknown
  if ((bytes[at] & 1) === 0) return Reception.unicast
  for (let byte = at; byte < at + 6; byte++) if (bytes[byte] !== 0xff) return Reception.multicast
  return Reception.broadcast
}

/** Seen from the network: what comes in by port 0 is inbound. */
export function directionOf(port: number): number {
  return port === 0 ? Direction.inbound : Direction.outbound
}

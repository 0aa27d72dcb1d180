/**
 * Frame memory: slots of two sizes in SharedArrayBuffer chunks that grow and never move.
 *
 *   handle (int32) = chunk << 13 | slot          handle >= largeBase: a large slot
 *
 *   small chunk   8,192 slots of  2,112 bytes = 16.5 MiB   (33 cache lines: at 2,048 all headers meet in two sets of the cache)
 *   large chunk     512 slots of 69,632 bytes =   34 MiB   (68 KiB: a 64 KiB super-frame and its headroom)
 *
 *   slot   | headroom 128 | frame ............ | free |
 *                         ^ start[handle]      ^ start + length
 *
 * What is known of a frame stands in typed arrays indexed by the handle, so that nothing is allocated per frame and the
 * addon and other threads can read it. The free lists are stacks (last in, first out keeps slots in the cache); the addon
 * pops from them too. Where more frames are out than caches hold, small slots that come back rest until a stack is empty and
 * are taken in the order of their place (see RestingSlots). One owner per frame: whoever holds the handle transmits it, frees it, or
 * drops it.
 */

import { endLife, type FrameBatches, frameBatches } from './frame-batches.ts'
import { RestingSlots } from './resting-slots.ts'

const SLOT_BITS = 13
const SLOT_MASK = (1 << SLOT_BITS) - 1

/** Bytes of a small slot. */
export const SMALL_SLOT = 2112
/** Bytes of a large slot. */
export const LARGE_SLOT = 69632
/** Bytes before a fresh frame: one VXLAN over IPv6 with a tag (74) and the vnet header (24) fit. */
export const HEADROOM = 128
/** Longest frame of a small slot. */
export const SMALL_CAPACITY = SMALL_SLOT - HEADROOM
/** Longest frame of a large slot. */
export const LARGE_CAPACITY = LARGE_SLOT - HEADROOM
/** Slots in a chunk of small slots. */
export const SMALL_CHUNK_SLOTS = 1 << SLOT_BITS
/** Slots in a chunk of large slots; the handle space of the rest of the chunk is unused. */
export const LARGE_CHUNK_SLOTS = 512
/** What `allocate` and `copy` return when the pool may not grow any further. */
export const NO_FRAME = -1

// Where one way of copying becomes faster than the next: a loop 25 ns at 128 bytes and 80 at 512, copyWithin 33 and 48,
// set with a subarray 65 and 67; at 64 KiB set is the faster one of the two.
const WORD_COPY_MAX = 192
const WITHIN_COPY_MAX = 16_384

/** Small frames that are out, from which on slots rest: 132 MiB of them. */
const MANY_FRAMES = 65_536
/** Slots that come back to the stack at once. */
const REFILL = 1024

/** Bits of `FramePool.flags`. */
export const FrameFlag = {
  /** The frame's walk is recorded (see Tracer). */
  traced: 1,
  /** The checksum is partial: the field holds the pseudo-header sum, csumStart and csumOffset say where (virtio NEEDS_CSUM). */
  csum: 2,
  /** The transport checksum was verified by who delivered the frame (virtio DATA_VALID). */
  csumValid: 4,
  /** A super-frame: gsoType, gsoSize and hdrLen are valid. */
  gso: 8,
  /** An IP packet put together from fragments, to be cut again when it leaves: gsoSize is the length of the longest one's packet. */
  reassembled: 32,
  /** 24 bits: these bytes stand already in the captures that a bit stands for. Who rewrites the frame clears them all. */
  captured: ~0xff
} as const

/**
 * Bits of `FramePool.gsoType`, those of virtio_net_hdr: the super-frame is inside a UDP tunnel (VXLAN) over IPv4 or IPv6. The other
 * offload fields are about the inner packet; a UDP checksum outside that is not zero is that of the pseudo-header.
 */
export const GsoTunnel = { ipv4: 0x20, ipv6: 0x40, any: 0x60 } as const

export type FrameHandle = number

// V8 takes a constant that a module exports from a cell at every use, one that it keeps is part of the code (20 instructions
// less in `allocate`). So the frame path has these.
const smallSlot = SMALL_SLOT
const largeSlot = LARGE_SLOT
const headroom = HEADROOM
const smallCapacity = SMALL_CAPACITY

export interface FramePoolOptions {
  /** Chunks of small slots that may be made, 16.5 MiB each. Default 64 (524,288 frames). */
  maxSmallChunks?: number
  /** Chunks of large slots that may be made, 34 MiB each. Default 32 (16,384 super-frames). */
  maxLargeChunks?: number
  /** Notice a frame freed twice or used after its end (costs a byte look-up per allocation): for tests. */
  checked?: boolean
}

export class FramePool {
  /** Chunk numbers below this are small. */
  readonly largeChunkBase: number
  /** Handles from here on are large. */
  readonly largeBase: number
  /** Offset of the first frame byte within the frame's chunk. */
  readonly start: Int32Array
  /** Bytes of the frame. */
  readonly length: Int32Array
  /** FrameFlag bits. */
  readonly flags: Int32Array
  /** virtio_net_hdr gso_type: 1 TCPv4, 3 UDP fragments, 4 TCPv6, 5 UDP segments; 0x80 ECN; see GsoTunnel. */
  readonly gsoType: Uint8Array
  /** Payload bytes of each segment; of a reassembled packet see FrameFlag. */
  readonly gsoSize: Uint16Array
  /** Bytes of all headers of a super-frame, from its first byte. */
  readonly hdrLen: Uint16Array
  /** Where the checksum begins, from the frame's first byte. */
  readonly csumStart: Uint16Array
  /** Where its field is, from csumStart. */
  readonly csumOffset: Uint16Array
  /** Number of the element through which the frame came in. */
  readonly ingress: Int32Array
  /** Names the frame and all its rewrites in traces and captures; 0: none yet. */
  readonly packetId: Int32Array
  /** What one element of a chain notes for a later one (conntrack for NAT); stale where nobody in the chain has set it. */
  readonly mark: Int32Array
  /** When it came in, nanoseconds since the engine's start. */
  readonly timestamp: Float64Array
  /** Stack of free small handles; tops[0] is its height. */
  readonly smallFree: Int32Array
  /** Stack of free large handles; tops[1] is its height. */
  readonly largeFree: Int32Array
  readonly tops: Int32Array
  /** Small slots that are free and not on the stack. */
  private readonly resting: RestingSlots
  /** Whole batches: see FrameBatches. */
  readonly allocateAll: FrameBatches['allocateAll']
  readonly enterAll: FrameBatches['enterAll']
  readonly freeAll: FrameBatches['freeAll']
  /** Slots that exist: [0] small, [1] large. */
  private readonly made = [0, 0]
  private readonly chunks: Uint8Array[] = []
  private readonly views: DataView[] = []
  private readonly chunkWords: Int32Array[] = []
  private readonly maxSmallChunks: number
  private readonly maxLargeChunks: number
  private readonly live: Uint8Array | null
  private chunkListener: ((chunk: number, bytes: Uint8Array) => void) | null = null

  constructor(options: FramePoolOptions = {}) {
    this.maxSmallChunks = options.maxSmallChunks ?? 64
    this.maxLargeChunks = options.maxLargeChunks ?? 32
    this.largeChunkBase = this.maxSmallChunks
    this.largeBase = this.largeChunkBase << SLOT_BITS
    const handles = (this.maxSmallChunks + this.maxLargeChunks) << SLOT_BITS
    // Address space only: the kernel gives a page when it is first written.
    this.start = new Int32Array(new SharedArrayBuffer(handles * 4))
    this.length = new Int32Array(new SharedArrayBuffer(handles * 4))
    this.flags = new Int32Array(new SharedArrayBuffer(handles * 4))
    this.ingress = new Int32Array(new SharedArrayBuffer(handles * 4))
    this.packetId = new Int32Array(new SharedArrayBuffer(handles * 4))
    this.mark = new Int32Array(new SharedArrayBuffer(handles * 4))
    this.gsoType = new Uint8Array(new SharedArrayBuffer(handles))
    this.gsoSize = new Uint16Array(new SharedArrayBuffer(handles * 2))
    this.hdrLen = new Uint16Array(new SharedArrayBuffer(handles * 2))
    this.csumStart = new Uint16Array(new SharedArrayBuffer(handles * 2))
    this.csumOffset = new Uint16Array(new SharedArrayBuffer(handles * 2))
    this.timestamp = new Float64Array(new SharedArrayBuffer(handles * 8))
    this.smallFree = new Int32Array(new SharedArrayBuffer(this.maxSmallChunks * SMALL_CHUNK_SLOTS * 4))
    this.largeFree = new Int32Array(new SharedArrayBuffer(this.maxLargeChunks * LARGE_CHUNK_SLOTS * 4))
    this.tops = new Int32Array(new SharedArrayBuffer(8))
    this.live = options.checked ? new Uint8Array(handles) : null
    this.resting = new RestingSlots(this.maxSmallChunks * SMALL_CHUNK_SLOTS)
    const slots = { mask: SLOT_MASK, size: SMALL_SLOT, headroom: HEADROOM }
    const { allocateAll, enterAll, freeAll } = frameBatches(this, slots, this.live, this.resting)
    this.allocateAll = allocateAll
    this.enterAll = enterAll
    this.freeAll = freeAll
  }

  /** The chunk that holds the frame; its first byte is at `start[frame]`. */
  bytes(frame: FrameHandle): Uint8Array {
    return this.chunks[frame >>> SLOT_BITS]
  }

  /** The same chunk for 16- and 32-bit reads and writes. */
  view(frame: FrameHandle): DataView {
    return this.views[frame >>> SLOT_BITS]
  }

  /** Number of the chunk: frames with the same one share `bytes`, `view` and `words`. */
  chunkOf(frame: FrameHandle): number {
    return frame >>> SLOT_BITS
  }

  /** The same chunk as words of this machine's byte order, for frames whose start is a multiple of four as a fresh one's is. */
  words(frame: FrameHandle): Int32Array {
    return this.chunkWords[frame >>> SLOT_BITS]
  }

  /** Offset within the chunk of the frame's slot: `start - slotStart` is the headroom that is left. */
  slotStart(frame: FrameHandle): number {
    return (frame & SLOT_MASK) * (frame >= this.largeBase ? LARGE_SLOT : SMALL_SLOT)
  }

  /** Bytes that the frame can take from its current start. */
  room(frame: FrameHandle): number {
    return this.slotStart(frame) + (frame >= this.largeBase ? LARGE_SLOT : SMALL_SLOT) - this.start[frame]
  }

  /** A frame of `length` bytes (content undefined, flags clear), or NO_FRAME. */
  allocate(length: number): FrameHandle {
    if (length > smallCapacity) return this.allocateLarge(length)
    let top = this.tops[0]
    if (top === 0) {
      if (!this.refill()) return NO_FRAME
      top = this.tops[0]
    }
    const frame = this.smallFree[--top]
    this.tops[0] = top
    this.start[frame] = (frame & SLOT_MASK) * smallSlot + headroom
    this.length[frame] = length
    this.flags[frame] = 0
    this.packetId[frame] = 0
    if (this.live !== null) this.live[frame] = 1
    return frame
  }

  private allocateLarge(length: number): FrameHandle {
    if (length > LARGE_CAPACITY) return NO_FRAME
    if (this.tops[1] === 0 && !this.grow(1)) return NO_FRAME
    const frame = this.largeFree[--this.tops[1]]
    this.start[frame] = (frame & SLOT_MASK) * largeSlot + headroom
    this.length[frame] = length
    this.flags[frame] = 0
    this.packetId[frame] = 0
    if (this.live !== null) this.live[frame] = 1
    return frame
  }

  /** Gives the slot back. */
  free(frame: FrameHandle): void {
    if (this.live !== null) endLife(this.live, frame)
    if (frame < this.largeBase) this.smallFree[this.tops[0]++] = frame
    else this.largeFree[this.tops[1]++] = frame
  }

  /** A second frame with the same bytes, offload fields, ingress, time and packet id; or NO_FRAME. */
  copy(frame: FrameHandle): FrameHandle {
    const length = this.length[frame]
    const copy = this.allocate(length)
    if (copy === NO_FRAME) return NO_FRAME
    if (length <= WORD_COPY_MAX) this.copyWords(frame, copy, length)
    else this.copyBytes(frame, copy, length)
    this.copyMetadata(frame, copy)
    return copy
  }

  /** The copy gets the start's place within a word, so that whole words can be moved, those at the ends included. */
  private copyWords(frame: FrameHandle, copy: FrameHandle, length: number): void {
    const shift = this.start[frame] & 3
    this.start[copy] += shift
    const source = this.chunkWords[frame >>> SLOT_BITS]
    const target = this.chunkWords[copy >>> SLOT_BITS]
    const from = this.start[frame] >> 2
    const to = this.start[copy] >> 2
    const count = (shift + length + 3) >> 2
    for (let i = 0; i < count; i++) target[to + i] = source[from + i]
  }

  private copyBytes(frame: FrameHandle, copy: FrameHandle, length: number): void {
    const from = this.start[frame]
    const source = this.bytes(frame)
    const target = this.bytes(copy)
    // Within a chunk without an object for the part that is copied, except where that is slower.
    if (source === target && length < WITHIN_COPY_MAX) target.copyWithin(this.start[copy], from, from + length)
    else target.set(source.subarray(from, from + length), this.start[copy])
  }

  /** Carries what is known of `from` over to `to`; bytes, start and length stay. */
  copyMetadata(from: FrameHandle, to: FrameHandle): void {
    const flags = this.flags[from]
    this.flags[to] = flags
    this.ingress[to] = this.ingress[from]
    this.packetId[to] = this.packetId[from]
    this.mark[to] = this.mark[from]
    this.timestamp[to] = this.timestamp[from]
    if ((flags & (FrameFlag.csum | FrameFlag.gso | FrameFlag.reassembled)) === 0) return
    this.gsoType[to] = this.gsoType[from]
    this.gsoSize[to] = this.gsoSize[from]
    this.hdrLen[to] = this.hdrLen[from]
    this.csumStart[to] = this.csumStart[from]
    this.csumOffset[to] = this.csumOffset[from]
  }

  /** Frames that are out: in links, elements or devices. */
  get inUse(): number {
    return this.smallInUse + this.made[1] - this.tops[1]
  }

  private get smallInUse(): number {
    return this.made[0] - this.tops[0] - this.resting.count
  }

  /** Whether less than an eighth of the slots of either kind is free or may still be made: who can wait should. */
  get isScarce(): boolean {
    const small = this.maxSmallChunks * SMALL_CHUNK_SLOTS
    const large = this.maxLargeChunks * LARGE_CHUNK_SLOTS
    return (small - this.smallInUse) * 8 < small || (large - this.made[1] + this.tops[1]) * 8 < large
  }

  /** Sees to it that `small` and `large` slots are free, as far as the pool may grow: before the addon pops them itself. */
  reserve(small: number, large: number): void {
    while (this.tops[0] < small && this.refill());
    while (this.tops[1] < large && this.grow(1));
  }

  /** Marks frames that the addon took from the free lists as live (checked pools). */
  adopted(frame: FrameHandle): void {
    if (this.live !== null) this.live[frame] = 1
  }

  /** Calls back for every chunk there is and for each new one. */
  onChunk(listener: (chunk: number, bytes: Uint8Array) => void): void {
    this.chunkListener = listener
    this.chunks.forEach((bytes, chunk) => {
      listener(chunk, bytes)
    })
  }

  /** More small slots for the stack: of those that rest, or new ones. False when there are none. */
  private refill(): boolean {
    const { resting, tops } = this
    const [made] = this.made
    resting.isUsed = this.smallInUse >= MANY_FRAMES
    // The fewer there are, the further the hand goes for each.
    if (resting.count * 32 <= made && this.grow(0)) return true
    // At the limit it would go round for a handful, again and again.
    if (resting.count * 256 < made) resting.isUsed = false
    const taken = resting.take(this.smallFree, tops[0], REFILL)
    tops[0] += taken
    return taken > 0
  }

  private grow(large: 0 | 1): boolean {
    const slots = large ? LARGE_CHUNK_SLOTS : SMALL_CHUNK_SLOTS
    const slotSize = large ? LARGE_SLOT : SMALL_SLOT
    const number = this.made[large] / slots
    if (number >= (large ? this.maxLargeChunks : this.maxSmallChunks)) return false
    const chunk = large ? this.largeChunkBase + number : number
    const bytes = new Uint8Array(new SharedArrayBuffer(slots * slotSize))
    this.chunks[chunk] = bytes
    this.views[chunk] = new DataView(bytes.buffer)
    this.chunkWords[chunk] = new Int32Array(bytes.buffer)
    const stack = large ? this.largeFree : this.smallFree
    // The lowest handle ends up on top: the first frames share a few pages.
    for (let slot = slots - 1; slot >= 0; slot--) stack[this.tops[large]++] = (chunk << SLOT_BITS) | slot
    this.made[large] += slots
    this.chunkListener?.(chunk, bytes)
    return true
  }
}

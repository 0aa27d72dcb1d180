/**
 * The ways that frames took through the router, so that later ones can take them without it.
 *
 * A path is what the router did to a frame: interface in and out, both MACs as it left, and by how much TTL went down. Flows refer to
 * paths by number; there are few, and flows are many. Nothing is asked of the router: all is read from frames that it has sent.
 *
 *   path, 8 words   | ingress << 16 | egress | TTL taken | first 12 bytes of the frame (3 words, as in memory) | - - - |
 *
 * A flow believes its path for a second, and no longer than until the next change of anything (`forget`). How long a frame may be is
 * learned too: no longer than one that the router let pass whole in this second or the last.
 */
import type { FrameHandle, FramePool } from '../../engine/frame-pool.ts'

export const PATH_WORDS = 8
export const PATH_PORTS = 0
export const PATH_TTL = 1
export const PATH_MACS = 2
/** Paths at most; a flow beyond them goes through the router. */
const PATHS_MAX = 4096
/** Places of the hash table; a power of two. */
const PLACES = 8192
const EPOCH_SHIFT = 16
/** The path's number in a reference to it; the rest is the epoch. */
export const PATH_NUMBER_MASK = 0xffff
const NO_PATH = -1

export class Paths {
  readonly words = new Int32Array(PATHS_MAX * PATH_WORDS)
  /** Current epoch << 16: what a flow's reference to a path must have in its upper half. */
  epoch = 1 << EPOCH_SHIFT
  /** Longest packet that left whole by each interface, bytes: in this second, and in this or the last. */
  readonly fits: Int32Array
  private readonly fitsNow: Int32Array
  private readonly table = new Int32Array(PLACES)
  private count = 0
  private second = 0

  constructor(interfaces: number) {
    this.fits = new Int32Array(interfaces)
    this.fitsNow = new Int32Array(interfaces)
  }

  /** Called with the time: what fits must be shown anew every second. */
  keepTime(second: number): void {
    if (second === this.second) return
    if (second === this.second + 1) this.fits.set(this.fitsNow)
    else this.fits.fill(0)
    this.fitsNow.fill(0)
    this.second = second
  }

  /** A packet (or a segment of a super-frame) of this many bytes left whole. */
  showFit(egress: number, bytes: number): void {
    if (bytes > this.fitsNow[egress]) this.fitsNow[egress] = bytes
    if (bytes > this.fits[egress]) this.fits[egress] = bytes
  }

  /** All paths are doubtful: something changed. Returns false when flows must forget by themselves, because numbers begin again. */
  forget(): boolean {
    this.count = 0
    this.table.fill(0)
    this.fits.fill(0)
    this.fitsNow.fill(0)
    this.epoch = (this.epoch + (1 << EPOCH_SHIFT)) | 0
    if (this.epoch !== 0) return true
    this.epoch = 1 << EPOCH_SHIFT
    return false
  }

  /**
   * What a flow keeps to refer to the path that `frame` took: epoch | number; 0 when there are too many paths.
   * The frame stands as it leaves.
   */
  note(frames: FramePool, frame: FrameHandle, ingress: number, egress: number, ttlTaken: number): number {
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    const ports = (ingress << 16) | egress
    const m0 = word(bytes, at)
    const m1 = word(bytes, at + 4)
    const m2 = word(bytes, at + 8)
    const { words, table } = this
    let place = (Math.imul(ports ^ ttlTaken ^ Math.imul(m1 ^ (m2 << 7), 0x85ebca6b) ^ m0, 0x9e3779b1) >>> 19) & (PLACES - 1)
    for (; table[place] !== 0; place = (place + 1) & (PLACES - 1)) {
      const at = (table[place] - 1) * PATH_WORDS
      const isSame =
        words[at] === ports && words[at + 1] === ttlTaken && words[at + 2] === m0 && words[at + 3] === m1 && words[at + 4] === m2
      if (isSame) return this.epoch | (table[place] - 1)
    }
    const number = this.newPath(place)
    if (number === NO_PATH) return 0
    const path = number * PATH_WORDS
    words[path] = ports
    words[path + 1] = ttlTaken
    words[path + 2] = m0
    words[path + 3] = m1
    words[path + 4] = m2
    return this.epoch | number
  }

  private newPath(place: number): number {
    if (this.count === PATHS_MAX) return NO_PATH
    this.table[place] = this.count + 1
    return this.count++
  }
}

/** Four bytes in the order of a little-endian machine's memory. */
function word(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
}

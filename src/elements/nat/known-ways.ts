/**
 * What the router has shown of IPv4 in the last second, so that the next flow need not be routed: who may send, and which way a
 * destination is reached. A direct-mapped table of both.
 *
 *   way, 4 words      | destination, or the first bits of it | ingress, how many bits | path (see `paths`) | tick until which it is believed |
 *   source, 4 words   | source, or the first bits of it      | the same               | any path           | the same                        |
 *
 * The router looks at addresses, TTL and length only. It says with each frame who else would have gone the same way: all destinations of
 * the /16 or /8, all sources of the /8. So one frame may show the way to 16 million addresses. What depends on ports (policy, published
 * ports) is judged for every flow.
 */
import type { Paths } from './paths.ts'

const ENTRIES = 4096
const WORDS = 4
const KEY = 0
const KIND = 1
const PATH = 2
const UNTIL = 3
/** Kinds: an interface in the upper half, and one of these. */
const SOURCE = 1
const SOURCES_8 = 5
const HOST = 2
const BLOCK_16 = 3
const BLOCK_8 = 4
/** The first bytes of an address are its lowest bits. */
const FIRST_16 = 0xffff
const FIRST_8 = 0xff
const EPOCH_MASK = -65_536
/** In `frames.mark`, above the flow and its direction, from the router: who else would have gone that way (its `Reach`), and who else come. */
export const MARK_FLOW = (1 << 25) - 1
const REACH_SHIFT = 25
const REACH_MASK = 3
const REACH_16 = 1
const REACH_8 = 2
const ANY_SOURCE = 1 << 27

export class KnownWays {
  /** Of the way that `find` has found: as `Paths.note` returned it, and until when it is believed, a tick. */
  path = 0
  until = 0
  private readonly paths: Paths
  private readonly words = new Int32Array(ENTRIES * WORDS)

  constructor(paths: Paths) {
    this.paths = paths
  }

  /**
   * A frame of `source` that came in by `ingress` went to `destination` by `path`.
   * @param path as `Paths.note` returned it
   * @param mark the frame's, with what the router has said in it
   */
  note(ingress: number, source: number, destination: number, path: number, mark: number, until: number): void {
    const interfaceBits = ingress << 16
    if ((mark & ANY_SOURCE) !== 0) this.put(source & FIRST_8, interfaceBits | SOURCES_8, path, until)
    else this.put(source, interfaceBits | SOURCE, path, until)
    const reach = (mark >>> REACH_SHIFT) & REACH_MASK
    if (reach === REACH_8) this.put(destination & FIRST_8, interfaceBits | BLOCK_8, path, until)
    else if (reach === REACH_16) this.put(destination & FIRST_16, interfaceBits | BLOCK_16, path, until)
    else this.put(destination, interfaceBits | HOST, path, until)
  }

  /** Whether a frame from `source` to `destination`, addresses of tuples, may go without the router: `path` and `until` say how. */
  find(ingress: number, source: number, destination: number, tick: number): boolean {
    const { words } = this
    const interfaceBits = ingress << 16
    let sender = this.at(source, interfaceBits | SOURCE, tick)
    if (sender < 0) sender = this.at(source & FIRST_8, interfaceBits | SOURCES_8, tick)
    if (sender < 0) return false
    let way = this.at(destination & FIRST_8, interfaceBits | BLOCK_8, tick)
    if (way < 0) way = this.at(destination & FIRST_16, interfaceBits | BLOCK_16, tick)
    if (way < 0) way = this.at(destination, interfaceBits | HOST, tick)
    if (way < 0) return false
    this.path = words[way + PATH]
    this.until = ((words[sender + UNTIL] - words[way + UNTIL]) | 0) < 0 ? words[sender + UNTIL] : words[way + UNTIL]
    return true
  }

  /** First word of the entry that still holds, or -1. */
  private at(key: number, kind: number, tick: number): number {
    const { words } = this
    const at = place(key, kind)
    if (words[at + KEY] !== key || words[at + KIND] !== kind) return -1
    return (words[at + PATH] & EPOCH_MASK) === this.paths.epoch && ((words[at + UNTIL] - tick) | 0) > 0 ? at : -1
  }

  private put(key: number, kind: number, path: number, until: number): void {
    const { words } = this
    const at = place(key, kind)
    words[at + KEY] = key
    words[at + KIND] = kind
    words[at + PATH] = path
    words[at + UNTIL] = until
  }
}

/** First word of the entry. */
function place(key: number, kind: number): number {
  return (Math.imul(key ^ Math.imul(kind, 0x85ebca6b | 0), 0x9e3779b1 | 0) >>> 20) * WORDS
}

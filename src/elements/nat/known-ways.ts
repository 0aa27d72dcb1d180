/**
 * What the router has shown of IPv4 in the last second, so that the next flow need not be routed: who may send, and which way a
 * destination is reached. A direct-mapped table of both.
 *
 *   way, 4 words      | destination, or the first bits of it | ingress, how many bits | path (see `paths`) | tick until which it is believed |
 *   source, 4 words   | source                               | ingress, SOURCE        | 0                  | the same                        |
 *
 * The router looks at addresses, TTL and length only. It says with each frame how many low bits of the destination did not matter: where
 * these are 16 or 24, one frame shows the way to 65,536 addresses or 16 million. What depends on ports (policy, published ports) is
 * judged for every flow.
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
const HOST = 2
const BLOCK_16 = 3
const BLOCK_8 = 4
/** The first bytes of an address are its lowest bits. */
const FIRST_16 = 0xffff
const FIRST_8 = 0xff
const EPOCH_MASK = -65_536

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
   * @param freeBits low bits of the destination (network order) that could have been others
   */
  note(ingress: number, source: number, destination: number, path: number, freeBits: number, until: number): void {
    this.put(source, (ingress << 16) | SOURCE, path, until)
    if (freeBits >= 24) this.put(destination & FIRST_8, (ingress << 16) | BLOCK_8, path, until)
    else if (freeBits >= 16) this.put(destination & FIRST_16, (ingress << 16) | BLOCK_16, path, until)
    else this.put(destination, (ingress << 16) | HOST, path, until)
  }

  /** Whether a frame from `source` to `destination`, addresses of tuples, may go without the router: `path` and `until` say how. */
  find(ingress: number, source: number, destination: number, tick: number): boolean {
    const { words } = this
    const interfaceBits = ingress << 16
    const sender = this.at(source, interfaceBits | SOURCE, tick)
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

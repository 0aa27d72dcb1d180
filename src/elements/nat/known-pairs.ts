/**
 * The path of the last IPv4 flow between two addresses, so that the next one between them need not be routed: a direct-mapped table.
 *
 *   entry, 4 words   | source | destination, where it is really going | path (see `paths`) | tick until which it is believed |
 *
 * The router looks at addresses, TTL and length only. Who may send from where was judged for the pair when it was noted; what depends
 * on ports (policy, published ports) is judged for every flow.
 */
const ENTRIES = 4096
const WORDS = 4
const SOURCE = 0
const DESTINATION = 1
/** Words of an entry, for who has found it. */
export const PAIR_PATH = 2
export const PAIR_UNTIL = 3
export const NO_PAIR = -1

export class KnownPairs {
  readonly words = new Int32Array(ENTRIES * WORDS)

  /** @param path as `Paths.note` returned it */
  note(source: number, destination: number, path: number, until: number): void {
    const { words } = this
    const at = place(source, destination)
    words[at + SOURCE] = source
    words[at + DESTINATION] = destination
    words[at + PAIR_PATH] = path
    words[at + PAIR_UNTIL] = until
  }

  /** First word of the entry of a pair, or NO_PAIR. Whether its path is still believed is for the caller to see. */
  find(source: number, destination: number): number {
    const { words } = this
    const at = place(source, destination)
    return words[at + SOURCE] === source && words[at + DESTINATION] === destination ? at : NO_PAIR
  }
}

/** First word of the entry. */
function place(source: number, destination: number): number {
  return (Math.imul(source ^ Math.imul(destination, 0x85ebca6b | 0), 0x9e3779b1 | 0) >>> 20) * WORDS
}

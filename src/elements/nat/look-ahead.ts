/**
 * Reads what a batch of frames will need of a large table before any of them is handled. A table beyond the caches costs a wait for
 * memory at every look-up; a processor waits for many lines at once where no read depends on the one before, as in this loop.
 *
 * Nothing is decided here: what is read counts only as having been touched. So it may be the wrong thing (for other frames than plain
 * IPv4, or a new flow whose source or port turns out to be another one), and then it is of no use.
 */
import { LARGE_TABLE } from './conntrack.ts'
import type { NatTables } from './nat-tables.ts'
import { NO_MAPPING } from './source-mappings.ts'

const ICMP = 1
// A constant of this module is part of the code that V8 makes; one that it imports is looked up at every use.
const noMapping = NO_MAPPING

/** For `batch[0..count-1]`, which came in: slots and flows; for a new flow the slot of its answers. */
export type LookAhead = (batch: Int32Array, count: number) => void

/** V8 takes what is around it for constants while it is made once in a thread (the engine's README, "Loops"). */
export function makeLookAhead(tables: NatTables): LookAhead {
  const { frames, flows } = tables
  const { start } = frames
  const { core, status, expires, mappings } = flows
  /** What was read goes here, or V8 would leave the reading out. */
  let touched = 0

  return function lookAhead(batch: Int32Array, count: number): void {
    const { slots } = flows
    if (slots.length <= LARGE_TABLE) return
    const k1 = flows.k1 | 0
    const k2 = flows.k2 | 0
    const k3 = flows.k3 | 0
    const k4 = flows.k4 | 0
    const shift = flows.shift | 0
    const references = ((1 << flows.referenceBits) - 1) | 0
    const last = (flows.capacity * 2) | 0
    const address = tables.lastSource | 0
    const target = tables.lastTarget | 0
    const targetPort = tables.lastTargetPort | 0
    const hasMappings = mappings.size > 0
    let sum = touched
    for (let i = 0; i < count; i = (i + 1) | 0) {
      const words = frames.words(batch[i])
      const w = start[batch[i]] >> 2
      // The words of a tuple: see `tuple`, and `fast-path` for the frame.
      const w9 = words[(w + 9) | 0]
      const b = words[(w + 7) | 0]
      const protocol = words[(w + 5) | 0] >>> 24
      let port = w9
      let c = words[(w + 8) | 0]
      let kind = protocol
      if (protocol === ICMP) {
        // A query has its identifier for both ports; the answer to an echo request is of type 0.
        port = w9 >>> 16
        kind |= c & 0xff0000
        c = (c & 0xffff) | (port << 16)
      }
      const a = (words[(w + 6) | 0] >>> 16) | (port << 16)
      const d = Math.imul(kind, k4)
      const mixed = (Math.imul(a, k1) + Math.imul(b, k2) + Math.imul(c, k3) + d) | 0
      const entry = slots[Math.imul(mixed ^ (mixed >>> 16), 0x9e3779b1) >>> shift] & references
      if (entry > 0 && entry <= last) {
        const word = ((entry - 1) << 3) | 0
        sum ^= core[word] ^ core[word ^ 8] ^ status[word >> 4] ^ expires[word >> 4]
      } else {
        // A client keeps its source on the way to a published port.
        const isDnat = targetPort >= 0
        const from = isDnat ? target : (b >>> 16) | (c << 16)
        const to = isDnat ? (a & 0xffff) | (b << 16) : address
        if (hasMappings && !isDnat) {
          const mapped = mappings.portOf((a & 0xffff) | (b << 16), c >>> 16, protocol, address)
          if (mapped !== noMapping) {
            c = mapped << 16
            if (protocol === ICMP) port = mapped
          }
        }
        const answer =
          Math.imul((from & 0xffff) | (c & -65_536), k1) +
          Math.imul((from >>> 16) | (to << 16), k2) +
          Math.imul((to >>> 16) | ((isDnat ? targetPort : port) << 16), k3)
        const hash = (answer + Math.imul(protocol, k4)) | 0
        sum ^= slots[Math.imul(hash ^ (hash >>> 16), 0x9e3779b1) >>> shift]
      }
    }
    touched = sum
  }
}

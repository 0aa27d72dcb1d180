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

/** Frames of a batch at most. */
const BATCH = 256
/** What one loop leaves for the next: see `makeLookAhead`. All of a thread share them: nothing is left in them afterwards. */
const hashes = new Int32Array(BATCH)
const words = new Int32Array(BATCH)
const newcomers = new Int32Array(BATCH)

/** For `batch[0..count-1]`, which came in: slots and flows; for a new flow the slot of its answers. At most 256 frames. */
export type LookAhead = (batch: Int32Array, count: number) => void

/**
 * V8 takes what is around it for constants while it is made once in a thread (the engine's README, "Loops").
 *
 * The loops that touch memory have hardly an instruction beside the access: how many lines a processor waits for at once depends on how
 * many rounds of the loop it has begun.
 */
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
    for (let i = 0; i < count; i = (i + 1) | 0) {
      const frame = frames.words(batch[i])
      const w = start[batch[i]] >> 2
      // The words of a tuple: see `tuple`, and `fast-path` for the frame.
      const kind = frame[(w + 5) | 0] >>> 24
      const w8 = frame[(w + 8) | 0]
      const w9 = frame[(w + 9) | 0]
      const port = kind === ICMP ? w9 >>> 16 : w9 & 0xffff
      const c = kind === ICMP ? (w8 & 0xffff) | (port << 16) : w8
      const d = kind === ICMP ? kind | (w8 & 0xff0000) : kind
      const a = (frame[(w + 6) | 0] >>> 16) | (port << 16)
      const mixed = (Math.imul(a, k1) + Math.imul(frame[(w + 7) | 0], k2) + Math.imul(c, k3) + Math.imul(d, k4)) | 0
      hashes[i] = Math.imul(mixed ^ (mixed >>> 16), 0x9e3779b1) >>> shift
    }
    for (let i = 0; i < count; i = (i + 1) | 0) words[i] = slots[hashes[i]] & references
    let known = 0
    let fresh = 0
    for (let i = 0; i < count; i = (i + 1) | 0) {
      const entry = words[i]
      if (entry > 0 && entry <= last) words[known++] = (entry - 1) << 3
      else newcomers[fresh++] = batch[i]
    }
    let sum = touched
    for (let i = 0; i < known; i = (i + 1) | 0) {
      const word = words[i]
      sum ^= core[word] ^ core[word ^ 8] ^ status[word >> 4] ^ expires[word >> 4]
    }
    touched = fresh === 0 ? sum : sum ^ touchAnswers(fresh)
  }

  /** The slots of the answers to `newcomers[0..count-1]`, as far as they can be guessed. */
  function touchAnswers(count: number): number {
    const { slots, k1, k2, k3, k4, shift } = flows
    const { lastSource, lastTarget, lastTargetPort } = tables
    // A client keeps its source on the way to a published port.
    const isDnat = lastTargetPort >= 0
    const hasMappings = !isDnat && mappings.size > 0
    for (let i = 0; i < count; i = (i + 1) | 0) {
      const frame = frames.words(newcomers[i])
      const w = start[newcomers[i]] >> 2
      const protocol = frame[(w + 5) | 0] >>> 24
      const w7 = frame[(w + 7) | 0]
      const w8 = frame[(w + 8) | 0]
      const w9 = frame[(w + 9) | 0]
      const source = (frame[(w + 6) | 0] >>> 16) | (w7 << 16)
      // The answer to an echo request is of type 0, and has its identifier for both ports.
      let sourcePort = protocol === ICMP ? w9 >>> 16 : w8 >>> 16
      if (hasMappings) {
        const mapped = mappings.portOf(source, sourcePort, protocol, lastSource)
        if (mapped !== noMapping) sourcePort = mapped
      }
      const from = isDnat ? lastTarget : (w7 >>> 16) | (w8 << 16)
      const to = isDnat ? source : lastSource
      const fromPort = isDnat ? lastTargetPort : protocol === ICMP ? sourcePort : w9 & 0xffff
      const a = Math.imul((from & 0xffff) | (sourcePort << 16), k1)
      const b = Math.imul((from >>> 16) | (to << 16), k2)
      const mixed = (a + b + Math.imul((to >>> 16) | (fromPort << 16), k3) + Math.imul(protocol, k4)) | 0
      hashes[i] = Math.imul(mixed ^ (mixed >>> 16), 0x9e3779b1) >>> shift
    }
    let sum = 0
    for (let i = 0; i < count; i = (i + 1) | 0) sum ^= slots[hashes[i]]
    return sum
  }
}

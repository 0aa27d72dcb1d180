/**
 * The option lists of IPv4 (RFC 791 section 3.1) and TCP (RFC 9293 section 3.1), which have one shape:
 *
 *   | kind 8 | length 8, of the whole option | data ... |      kinds 0 (end of list) and 1 (no operation) are single bytes
 */
const END_OF_LIST = 0
const NO_OPERATION = 1

/**
 * Offset of the first option of a kind in [from, end), or -1; also -1 when the options before it are malformed. Reads nothing
 * outside.
 */
export function findHeaderOption(bytes: Uint8Array, from: number, end: number, kind: number): number {
  let option = from
  while (option < end) {
    const found = bytes[option]
    if (found === END_OF_LIST) return -1
    if (found === NO_OPERATION) {
      if (kind === NO_OPERATION) return option
      option++
      continue
    }
    if (option + 2 > end) return -1
    const length = bytes[option + 1]
    if (length < 2 || option + length > end) return -1
    if (found === kind) return option
    option += length
  }
  return -1
}

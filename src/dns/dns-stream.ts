/**
 * Cuts a TCP stream into DNS messages: each has its length in front, 16 bits (RFC 1035 4.2.2). Queries may follow each other
 * without waiting (RFC 7766 6.2.1.1).
 */

/** Longest query that is taken; a name has 255 bytes and options a few hundred. */
const QUERY_MAX = 4096
const SHORTEST = 12

export class DnsStream {
  /** The stream does not hold queries; nothing more is read. */
  isBroken = false
  /** Queries of this connection that wait for an answer from upstream. */
  waiting = 0
  /** The client sends nothing more: the connection ends with the last answer. */
  isEnding = false
  private readonly buffer = new Uint8Array(2 + QUERY_MAX)
  private filled = 0

  /** Takes the next bytes and calls back for every whole message, valid during the call. */
  append(bytes: Uint8Array, at: number, length: number, each: (message: Uint8Array) => void): void {
    const end = at + length
    while (at < end && !this.isBroken) {
      const wanted = this.filled < 2 ? 2 : 2 + this.messageLength
      const count = Math.min(wanted - this.filled, end - at)
      this.buffer.set(bytes.subarray(at, at + count), this.filled)
      this.filled += count
      at += count
      if (this.filled < 2) return
      const whole = 2 + this.messageLength
      if (whole - 2 < SHORTEST || whole - 2 > QUERY_MAX) {
        this.isBroken = true
        return
      }
      if (this.filled === whole) {
        this.filled = 0
        each(this.buffer.subarray(2, whole))
      }
    }
  }

  private get messageLength(): number {
    return (this.buffer[0] << 8) | this.buffer[1]
  }
}

interface Bases {
  /** First numbers of the side with the smaller key, and of the other. */
  low: number
  high: number
  /** Begun by a SYN that nobody has answered: the other side's first number is not known. */
  isHalf: boolean
}

const CAPACITY = 4096

/**
 * Sequence numbers counted from the first of their connection, as tcpdump shows them: the packet that begins a connection, or is
 * the first seen of it, keeps its numbers; those after it are differences. The connections last seen are remembered.
 */
export class TcpSequences {
  private readonly connections = new Map<string, Bases>()

  /** `source`, `destination`: address and port as text. Numbers are unsigned 32 bits; gives [sequence, acknowledgment]. */
  relative(source: string, destination: string, isSyn: boolean, sequence: number, acknowledgment: number): [number, number] {
    const isLow = source < destination
    const key = isLow ? `${source} ${destination}` : `${destination} ${source}`
    const known = this.connections.get(key)
    if (known !== undefined && !isSyn && !known.isHalf) {
      // Youngest last, so that the oldest goes first.
      this.connections.delete(key)
      this.connections.set(key, known)
      const [own, other] = isLow ? [known.low, known.high] : [known.high, known.low]
      return [(sequence - own) >>> 0, (acknowledgment - other) >>> 0]
    }
    const other = (acknowledgment - 1) >>> 0
    this.connections.delete(key)
    this.connections.set(key, {
      ...(isLow ? { low: sequence, high: other } : { low: other, high: sequence }),
      isHalf: isSyn && acknowledgment === 0
    })
    if (this.connections.size > CAPACITY) this.connections.delete(this.connections.keys().next().value!)
    return [sequence, acknowledgment]
  }
}

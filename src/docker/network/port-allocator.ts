/**
 * Which host ports are taken by published ones: by host address and protocol, as Docker's portallocator keeps them.
 *
 * Ports that nobody named come from the ephemeral range, always the next after the last one given: a port that was just freed,
 * which somebody may still try, is the last to come back. Each range that a user names (`8000-8010`) has a memory of its own.
 */
import type { PortRange } from './port-spec.ts'

/** What the kernel gives to sockets that name no port; Docker takes its own from there too. */
export const EPHEMERAL: PortRange = { first: 32768, last: 60999 }

export class PortAllocator {
  private readonly ephemeral: PortRange
  /** By `ADDRESS/PROTOCOL`. */
  private readonly taken = new Map<string, Set<number>>()
  /** By `ADDRESS/PROTOCOL/FIRST-LAST`: the port given last. */
  private readonly lastGiven = new Map<string, number>()

  constructor(ephemeral: PortRange = EPHEMERAL) {
    this.ephemeral = ephemeral
  }

  /** Takes one port; false when it is taken. */
  claim(address: string, protocol: string, port: number): boolean {
    const ports = this.ports(address, protocol)
    if (ports.has(port)) return false
    ports.add(port)
    return true
  }

  /** Takes the next free port of a range, the ephemeral one by default; undefined when all are taken. */
  claimAny(address: string, protocol: string, range: PortRange = this.ephemeral): number | undefined {
    const ports = this.ports(address, protocol)
    const key = `${address}/${protocol}/${range.first}-${range.last}`
    let port = this.lastGiven.get(key) ?? range.last
    for (let step = range.first; step <= range.last; step++) {
      port = port >= range.last ? range.first : port + 1
      if (ports.has(port)) continue
      ports.add(port)
      this.lastGiven.set(key, port)
      return port
    }
    return undefined
  }

  release(address: string, protocol: string, port: number): void {
    this.ports(address, protocol).delete(port)
  }

  private ports(address: string, protocol: string): Set<number> {
    const key = `${address}/${protocol}`
    const ports = this.taken.get(key)
    if (ports !== undefined) return ports
    const made = new Set<number>()
    this.taken.set(key, made)
    return made
  }
}

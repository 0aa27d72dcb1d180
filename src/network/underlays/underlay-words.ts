/**
 * What an underlay is set to, in words that people read in a capture's interface comment, and from which its VTEP can be made again:
 *
 *   mtu 1500, port 4789, next hop 02:6e:6c:76:78:01
 */
import type { UnderlayPart } from '../underlay.ts'

export interface UnderlaySetting extends Pick<UnderlayPart, 'mtu' | 'nextHopMac'> {
  /** UDP, of all VTEPs. */
  readonly port: number
}

const WORDS = /^mtu (\d+), port (\d+), next hop (\S+)$/

export function underlayWords({ mtu, port, nextHopMac }: UnderlaySetting): string {
  return `mtu ${mtu}, port ${port}, next hop ${nextHopMac}`
}

/** null for other words. */
export function parseUnderlayWords(text: string): UnderlaySetting | null {
  const [, mtu, port, nextHopMac] = WORDS.exec(text) ?? []
  return nextHopMac === undefined ? null : { mtu: Number(mtu), port: Number(port), nextHopMac }
}

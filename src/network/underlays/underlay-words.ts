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

/** 68 bytes inside (RFC 791) and the headers over IPv6. */
const LEAST_MTU = 138
const WORDS = /^mtu (\d+), port (\d+), next hop ((?:[0-9a-f]{2}:){5}[0-9a-f]{2})$/

export function underlayWords({ mtu, port, nextHopMac }: UnderlaySetting): string {
  return `mtu ${mtu}, port ${port}, next hop ${nextHopMac}`
}

/** null for other words, and for numbers that no underlay has. */
export function parseUnderlayWords(text: string): UnderlaySetting | null {
  const [, mtu, port, nextHopMac] = WORDS.exec(text) ?? []
  if (nextHopMac === undefined || Number(mtu) < LEAST_MTU || Number(mtu) > 65535 || Number(port) < 1 || Number(port) > 65535) return null
  return { mtu: Number(mtu), port: Number(port), nextHopMac }
}

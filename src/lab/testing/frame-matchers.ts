/**
 * Frames in a test's words: `ipv4({ dst: '192.0.2.0/24' }), udp({ dstPort: 53 })`. A frame must have every layer that is named, and every
 * field that is given; a list of values means any of them, `{ min, max }` a range.
 */
import type { LayerPattern, PatternFields } from '../../elements/probe/frame-pattern.ts'

/** What `ipv4()` and the like give. */
export type FrameMatcher = LayerPattern

export function ethernet(fields: PatternFields['ethernet'] = {}): FrameMatcher {
  return { layer: 'ethernet', fields }
}

export function arp(fields: PatternFields['arp'] = {}): FrameMatcher {
  return { layer: 'arp', fields }
}

export function ipv4(fields: PatternFields['ipv4'] = {}): FrameMatcher {
  return { layer: 'ipv4', fields }
}

export function ipv6(fields: PatternFields['ipv6'] = {}): FrameMatcher {
  return { layer: 'ipv6', fields }
}

export function icmp(fields: PatternFields['icmp'] = {}): FrameMatcher {
  return { layer: 'icmp', fields }
}

export function icmpv6(fields: PatternFields['icmpv6'] = {}): FrameMatcher {
  return { layer: 'icmpv6', fields }
}

export function udp(fields: PatternFields['udp'] = {}): FrameMatcher {
  return { layer: 'udp', fields }
}

export function tcp(fields: PatternFields['tcp'] = {}): FrameMatcher {
  return { layer: 'tcp', fields }
}

/** In UDP, from or to port 53. */
export function dns(fields: PatternFields['dns'] = {}): FrameMatcher {
  return { layer: 'dns', fields }
}

/** As it would be written. */
export function matcherText(matchers: readonly FrameMatcher[]): string {
  return matchers
    .map(({ layer, fields }) => {
      const given = Object.entries(fields).filter(([, value]) => value !== undefined)
      return `${layer}(${given.length === 0 ? '' : `{ ${given.map(([field, value]) => `${field}: ${JSON.stringify(value)}`).join(', ')} }`})`
    })
    .join(', ')
}

/** Matchers and, at the end, options. */
export type MatchArguments<Options> = readonly [FrameMatcher, ...FrameMatcher[]] | readonly [FrameMatcher, ...FrameMatcher[], Options]

export function splitArguments<Options extends object>(
  given: MatchArguments<Options>
): { matchers: FrameMatcher[]; options: Partial<Options> } {
  const last = given.at(-1)
  const hasOptions = typeof last === 'object' && last !== null && !('layer' in last)
  return {
    matchers: (hasOptions ? given.slice(0, -1) : given) as FrameMatcher[],
    options: hasOptions ? (last as Options) : {}
  }
}

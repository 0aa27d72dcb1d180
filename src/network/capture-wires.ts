/**
 * Capture elements on links that belong to no endpoint: the uplink, the underlay, parents of networks, the host's own stations.
 *
 *   uplink/netloom0 -- gateway/nat          ->          uplink/netloom0 -- 0 | capture | 1 -- gateway/nat
 *
 * One is put in when the first capture comes and taken out after the last; the frames in the link meanwhile are few, and dropped with a reason.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Plain, TopologyElement, TopologyLink } from '../engine/index.ts'
import type { CapturePlan, CaptureWire } from './capture-point.ts'
import type { EngineHost } from './engine-host.ts'

export class CaptureWires {
  private readonly engine: EngineHost
  /** What stands there, by name of the capture element. */
  private readonly placed = new Map<string, { readonly link: TopologyLink; readonly options: Plain }>()

  constructor(engine: EngineHost) {
    this.engine = engine
  }

  /**
   * Makes it be as the plan has it. @param wires all there are now: the elements at the ends of others are gone.
   * @returns what elements threw that could not be closed
   */
  async sync(wires: readonly CaptureWire[], plan: CapturePlan | null): Promise<readonly Error[]> {
    const there = new Map(wires.map((wire) => [captureName(wire.link), wire]))
    const next = new Map<string, { readonly link: TopologyLink; readonly options: Plain }>()
    for (const [name, { point, link }] of there) {
      const options = plan?.(point)
      if (options !== undefined) next.set(name, { link, options })
    }
    const elements: Record<string, TopologyElement> = {}
    const unlinked: TopologyLink[] = []
    const removed: string[] = []
    const linked: TopologyLink[] = []
    for (const [name, { link, options }] of next) {
      const before = this.placed.get(name)
      if (before !== undefined && isDeepStrictEqual(before.options, options)) continue
      elements[name] = { type: 'capture', options }
      if (before !== undefined) continue
      unlinked.push(link)
      linked.push({ ...link, b: [name, 0] }, { ...link, a: [name, 1] })
    }
    for (const [name, { link }] of this.placed) {
      if (next.has(name)) continue
      removed.push(name)
      if (there.has(name)) linked.push(link)
    }
    if (Object.keys(elements).length === 0 && removed.length === 0) return []
    const errors = await this.engine.patch({ elements, unlinked, removed, linked })
    this.placed.clear()
    for (const [name, place] of next) this.placed.set(name, place)
    return errors
  }
}

/** Of a link's capture element: after the outer end, whose first part is reserved or a network's. */
function captureName({ a: [element, port] }: TopologyLink): string {
  return port === 0 ? `${element}/capture` : `${element}/capture-${port}`
}

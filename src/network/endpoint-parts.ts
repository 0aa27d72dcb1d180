/**
 * What stands between each endpoint and its network, changed while frames pass: the shape of its link, the probe, the capture.
 *
 * Changes are of all the endpoints that they name or of none: one patch each, and what is kept here changes when the engine runs it.
 */
import { isDeepStrictEqual } from 'node:util'
import { type Plain, patchBetween, type Topology, type TopologyPatch } from '../engine/index.ts'
import { type CapturePlan, endpointPoint } from './capture-point.ts'
import type { Membership } from './dns-records.ts'
import type { Endpoint } from './endpoint.ts'
import type { EngineHost } from './engine-host.ts'
import { changedLink, type LinkChange, type LinkShape } from './link-shape.ts'
import type { Network } from './network.ts'
import type { NetworkIndex } from './network-index.ts'
import { endpointPart, PROBE_ELEMENT } from './topology-builder.ts'

export class EndpointParts {
  private readonly engine: EngineHost
  private readonly index: NetworkIndex
  /** Whether new endpoints get the probe: `Endpoint.probed`. */
  hasProbe = false
  /** What is captured, of what is there and of what comes. */
  plan: CapturePlan | null = null
  /** What the plan said of each captured endpoint. */
  private readonly captured = new Map<Endpoint, Plain>()

  constructor(engine: EngineHost, index: NetworkIndex) {
    this.engine = engine
    this.index = index
  }

  /**
   * The part of an endpoint that comes; `remove` takes back what is noted of it, when the engine refuses it or it goes.
   * @param memberships of its sandbox, this one among them
   */
  begin(network: Network, endpoint: Endpoint, memberships: readonly Membership[]): Topology {
    const options = this.plan?.(endpointPoint(network, endpoint))
    if (options !== undefined) this.captured.set(endpoint, options)
    return endpointPart(network, endpoint, options, memberships)
  }

  /** The part of an endpoint as the engine has it. */
  part(network: Network, endpoint: Endpoint): Topology {
    return endpointPart(network, endpoint, this.captured.get(endpoint), this.index.memberships(endpoint.sandbox))
  }

  remove(endpoint: Endpoint): void {
    this.captured.delete(endpoint)
  }

  async shape(network: Network, endpoints: readonly Endpoint[], change: LinkChange): Promise<void> {
    const shapes = new Map<Endpoint, LinkShape>()
    const patches = endpoints.flatMap((endpoint) => {
      const link = changedLink(endpoint.link, change)
      // Nothing is put where nothing is to be done.
      if (endpoint.link === null && Object.keys(link).length === 0) return []
      shapes.set(endpoint, link)
      return this.changed(network, endpoint, { link })
    })
    if (patches.length > 0) await this.engine.patch(joinedPatches(patches))
    for (const [endpoint, link] of shapes) endpoint.link = link
  }

  /** Puts the probe in everywhere, once. */
  async probe(): Promise<void> {
    if (this.hasProbe) return
    const all = this.all()
    const patches = all.map(({ network, endpoint }) => this.changed(network, endpoint, { probed: true }))
    await this.engine.patch(joinedPatches([{ elements: { [PROBE_ELEMENT]: { type: PROBE_ELEMENT } } }, ...patches]))
    for (const { endpoint } of all) endpoint.probed = true
    this.hasProbe = true
  }

  /** Captures as the plan has it. @returns what elements threw that could not be closed */
  async capture(plan: CapturePlan | null): Promise<readonly Error[]> {
    const patches: TopologyPatch[] = []
    const captured = new Map<Endpoint, Plain>()
    for (const { network, endpoint } of this.all()) {
      const options = plan?.(endpointPoint(network, endpoint))
      if (options !== undefined) captured.set(endpoint, options)
      if (isDeepStrictEqual(this.captured.get(endpoint), options)) continue
      const next = endpointPart(network, endpoint, options, this.index.memberships(endpoint.sandbox))
      patches.push(patchBetween(this.part(network, endpoint), next))
    }
    const errors = patches.length === 0 ? [] : await this.engine.patch(joinedPatches(patches))
    this.captured.clear()
    for (const [endpoint, options] of captured) this.captured.set(endpoint, options)
    this.plan = plan
    return errors
  }

  private all(): Membership[] {
    return [...this.index.networks.values()].flatMap((network) =>
      Array.from(network.endpoints.values(), (endpoint) => ({ network, endpoint }))
    )
  }

  private changed(network: Network, endpoint: Endpoint, change: Partial<Pick<Endpoint, 'link' | 'probed'>>): TopologyPatch {
    const memberships = this.index.memberships(endpoint.sandbox)
    const next = endpointPart(network, { ...endpoint, ...change }, this.captured.get(endpoint), memberships)
    return patchBetween(this.part(network, endpoint), next)
  }
}

/** Of patches without updates. */
function joinedPatches(patches: readonly TopologyPatch[]): TopologyPatch {
  return {
    elements: Object.assign({}, ...patches.map(({ elements }) => elements)),
    unlinked: patches.flatMap(({ unlinked = [] }) => unlinked),
    removed: patches.flatMap(({ removed = [] }) => removed),
    linked: patches.flatMap(({ linked = [] }) => linked)
  }
}

/**
 * Cables of a lab: what joins hosts, routers and stations to their LANs. Each can be an emulated link, shaped and cleared live, and be
 * captured at its station's end; nothing is put where nothing is to be done.
 *
 *   lan/office 3 ------------------------------------------------------------------ host1/uplink/eth0 0
 *   lan/office 3 -- far | link/host1/eth0 | near -- 1 | link/host1/eth0/capture | 0 -- host1/uplink/eth0 0
 *
 * `out` is what the host, router or station sends, `in` what it gets.
 */
import { NetemPort } from '../../elements/netem/netem.ts'
import {
  type ElementCounters,
  type Plain,
  patchBetween,
  type Topology,
  type TopologyElement,
  type TopologyLink
} from '../../engine/index.ts'
import type { PortReference } from '../driver.ts'
import type { EngineHost } from '../engine-host.ts'
import { changedLink, checkLinkChange, type LinkChange, type LinkShape, netemOptions } from '../link-shape.ts'
import { NetworkError } from '../network-error.ts'
import type { EmulatedLan } from './emulated-lan.ts'

export interface Cable {
  /** Of its end: `host1/eth0`. */
  readonly name: string
  readonly lan: EmulatedLan
  /** Ports that it joins, by their names in the whole engine: of the LAN, and of the station. */
  readonly socket: PortReference
  readonly station: PortReference
  /** Of the station's interface: its MAC, and its addresses in CIDR. */
  readonly mac: string
  readonly addresses: readonly string[]
  /** What stands at its end, for captures: see cableWords. */
  readonly words?: string
  /** null: nothing was set yet. */
  readonly link: LinkShape | null
  /** Options of its capture element; undefined: it is not captured. */
  readonly captured: Plain | undefined
}

/** A cable that nobody has shaped or captured yet. */
export type NewCable = Omit<Cable, 'link' | 'captured'>

export class EmulatedCables {
  private readonly engine: EngineHost
  private readonly cables = new Map<string, Cable>()
  private last: Promise<unknown> = Promise.resolve()

  /** @param engine the whole one, in which the ports are joined */
  constructor(engine: EngineHost) {
    this.engine = engine
  }

  /**
   * Tells of a cable. Whoever tells joins its ports, before the cable is shaped or captured.
   * Throws NetworkError `conflict` for a name that another one has.
   */
  add(cable: NewCable): void {
    const { name } = cable
    if (this.cables.has(name)) throw new NetworkError('conflict', `two links are called ${name}`)
    this.cables.set(name, { ...cable, link: null, captured: undefined })
  }

  [Symbol.iterator](): Iterator<Cable> {
    return this.cables.values()
  }

  /** The one of the name, or those of the LAN of the name; none. */
  named(target: string): Cable[] {
    const one = this.cables.get(target)
    return one !== undefined ? [one] : [...this.cables.values()].filter(({ lan }) => lan.name === target)
  }

  /** Shapes those of these names, all or none; what is under way goes on. Throws NetworkError `invalid`. */
  setLink(names: readonly string[], change: LinkChange): Promise<Cable[]> {
    return this.change((cable) => {
      if (!names.includes(cable.name)) return cable
      checkLinkChange(change)
      const link = changedLink(cable.link, change)
      // What was shaped keeps its element: frames are under way in it.
      return cable.link === null && Object.keys(link).length === 0 ? cable : { ...cable, link }
    })
  }

  /** Says which cables are captured, by options of the capture element; null: none any more. */
  setCapture(plan: ((cable: Cable) => Plain | undefined) | null): Promise<Cable[]> {
    return this.change((cable) => ({ ...cable, captured: plan?.(cable) }))
  }

  counters({ name, link }: Cable): ElementCounters | undefined {
    return link === null ? undefined : this.engine.elementCounters(`link/${name}`)
  }

  /** One change after the other; resolves with the cables that it was about. */
  private change(of: (cable: Cable) => Cable): Promise<Cable[]> {
    const work = async (): Promise<Cable[]> => {
      const before = [...this.cables.values()]
      const changed = before.map(of).filter((cable, index) => cable !== before[index])
      if (changed.length === 0) return []
      const old = changed.map(({ name }) => this.cables.get(name)!)
      const [error] = await this.engine.patch(patchBetween(partOf(old), partOf(changed)))
      if (error !== undefined) throw error
      for (const cable of changed) this.cables.set(cable.name, cable)
      return changed
    }
    const result = this.last.then(work)
    this.last = result.catch(() => {})
    return result
  }
}

/** What stands between the ports of these. */
function partOf(cables: readonly Cable[]): Topology {
  const elements: Record<string, TopologyElement> = {}
  const links: TopologyLink[] = []
  for (const { name, socket, station, link, captured } of cables) {
    let end = station
    if (captured !== undefined) {
      const capture = `link/${name}/capture`
      elements[capture] = { type: 'capture', options: captured }
      links.push({ a: end, b: [capture, 0] })
      end = [capture, 1]
    }
    if (link !== null) {
      const element = `link/${name}`
      elements[element] = { type: 'netem', options: netemOptions(link) }
      links.push({ a: end, b: [element, NetemPort.near] })
      end = [element, NetemPort.far]
    }
    links.push({ a: end, b: socket })
  }
  return { elements, links }
}

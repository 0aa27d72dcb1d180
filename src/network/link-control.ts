/** Emulated links by name: sets, clears and lists them. */
import { DIRECTION_COUNTERS } from '../elements/netem/direction-counters.ts'
import { linkWords } from '../elements/netem/link-words.ts'
import type { ElementCounters } from '../engine/index.ts'
import type { NetworkController } from './controller.ts'
import type { Cable, EmulatedCables } from './emulated/emulated-cables.ts'
import type { Endpoint } from './endpoint.ts'
import { endpointsNamed, withoutSite } from './explain-target.ts'
import type { LinkChange, LinkShape } from './link-shape.ts'
import { readLinkText } from './link-text.ts'
import type { Network } from './network.ts'
import { NetworkError } from './network-error.ts'
import { linkName } from './topology-builder.ts'

/** What to set: a target's link, anew in the directions that are named. */
export interface LinkWish {
  /**
   * A container or endpoint (`web`, `front/web`), or a network: all its endpoints, those that come too. In a lab also an interface of
   * a host, router or station (`host1/eth0`), or an underlay: all that are plugged in there.
   */
  readonly target: string
  /** As the endpoint sees it; default both. */
  readonly direction?: 'both' | 'out' | 'in'
  /**
   * tc netem's, see elements/netem/link-words: ['delay', '50ms', 'loss', '1%']; none: not shaped any more. ['down'] and ['up'] alone
   * leave what else is set.
   */
  readonly words: readonly string[]
  /** Text of a trace file: how rate, delay and loss change. */
  readonly trace?: string
  /** Text of a table of deviations, for the jitter. */
  readonly distribution?: string
}

/** A link that is shaped, or was. */
export interface LinkRow {
  /** '' for a link between emulated hosts. */
  readonly network: string
  /** Of a network; '' for what it gives to the endpoints that come. Of a link between hosts its end: `host1/eth0`. */
  readonly endpoint: string
  /** Of a link between emulated hosts. */
  readonly underlay?: string
  /** In words; '' where the direction is not shaped. */
  readonly out: string
  readonly in: string
  /** What the link has counted, by name: `out.lost`, `in.queueDrops`... */
  readonly counters: Readonly<Record<string, number>>
}

export class LinkControl {
  private readonly controller: NetworkController
  private readonly cables: EmulatedCables | undefined
  private readonly site: string

  /**
   * @param cables of the lab that the host is in
   * @param site what the host is called there: `host1/front/web` is its `front/web`, as for captures
   */
  constructor(controller: NetworkController, cables?: EmulatedCables, site = '') {
    this.controller = controller
    this.cables = cables
    this.site = site
  }

  /** Those that are shaped, and those that were: by network and name. */
  links(): LinkRow[] {
    const rows: LinkRow[] = []
    for (const network of this.controller.networks.values()) {
      if (network.link !== null) rows.push(this.row(network, null))
      for (const endpoint of network.endpoints.values()) if (endpoint.link !== null) rows.push(this.row(network, endpoint))
    }
    for (const cable of this.cables ?? []) if (cable.link !== null) rows.push(cableRow(cable, this.cables!.counters(cable)))
    return rows.sort((a, b) => compare(a.network, b.network) || compare(a.endpoint, b.endpoint))
  }

  /** Throws NetworkError `invalid`, `not-found`. */
  async setLink(wish: LinkWish): Promise<LinkRow[]> {
    const { target } = wish
    const change = changeOf(wish)
    const found = this.endpoints(target)
    if (found !== null) {
      for (const { network, endpoint } of found) await this.controller.setLink(network.id, endpoint.name, change)
      return found.map(({ network, endpoint }) => this.row(network, endpoint))
    }
    const network = this.findNetwork(target)
    if (network === undefined) {
      const own = withoutSite(target, this.site)
      // A cable's name begins with the host's all the same.
      const isCable = (this.cables?.named(target) ?? []).length > 0
      return own === target || isCable ? this.setCables(target, change) : this.setLink({ ...wish, target: own })
    }
    await this.controller.setLinks(network.id, change)
    return [this.row(network, null), ...Array.from(network.endpoints.values(), (endpoint) => this.row(network, endpoint))]
  }

  /** null: no endpoint is called so. */
  private endpoints(target: string): { network: Network; endpoint: Endpoint }[] | null {
    try {
      const found = endpointsNamed(this.controller, target)
      return target.includes('/')
        ? found.filter(({ network }) => network === this.controller.network(target.slice(0, target.indexOf('/'))))
        : found
    } catch (error) {
      if (error instanceof NetworkError && error.code === 'not-found') return null
      throw error
    }
  }

  private findNetwork(target: string): Network | undefined {
    try {
      return this.controller.network(target)
    } catch (error) {
      if (error instanceof NetworkError && error.code === 'not-found') return undefined
      throw error
    }
  }

  private async setCables(target: string, change: LinkChange): Promise<LinkRow[]> {
    const found = this.cables?.named(target) ?? []
    if (found.length === 0) {
      const others = this.cables === undefined ? '' : ', interface or underlay'
      throw new NetworkError(
        'not-found',
        `no container, endpoint${this.cables === undefined ? ' or' : ','} network${others} is called ${target}`,
        {
          fix: `write web, front/web or front${this.cables === undefined ? '' : ', host1/eth0 or lan'}`
        }
      )
    }
    const names = found.map(({ name }) => name)
    await this.cables!.setLink(names, change)
    return names.flatMap((name) => this.cables!.named(name)).map((cable) => cableRow(cable, this.cables!.counters(cable)))
  }

  private row(network: Network, endpoint: Endpoint | null): LinkRow {
    const link: LinkShape = (endpoint === null ? network.link : endpoint.link) ?? {}
    return {
      network: network.name,
      endpoint: endpoint?.name ?? '',
      out: linkWords(link.out ?? {}),
      in: linkWords(link.in ?? {}),
      counters: endpoint === null || endpoint.link === null ? {} : this.counters(endpoint)
    }
  }

  /** `out.lost` of the element's `forward.lost`. */
  private counters(endpoint: Endpoint): Record<string, number> {
    return directionCounters(this.controller.engine.elementCounters(linkName(endpoint)))
  }
}

function cableRow({ name, lan, link }: Cable, counted: ElementCounters | undefined): LinkRow {
  const counters = link === null ? {} : directionCounters(counted)
  return { network: '', underlay: lan.name, endpoint: name, out: linkWords(link?.out ?? {}), in: linkWords(link?.in ?? {}), counters }
}

function directionCounters(element: ElementCounters | undefined): Record<string, number> {
  const counted = element?.counters ?? {}
  const directions = [
    ['out', 'forward'],
    ['in', 'backward']
  ] as const
  return Object.fromEntries(
    directions.flatMap(([name, direction]) => DIRECTION_COUNTERS.map((key) => [`${name}.${key}`, counted[`${direction}.${key}`] ?? 0]))
  )
}

/** Throws NetworkError `invalid`. */
function changeOf({ direction = 'both', words, trace, distribution }: LinkWish): LinkChange {
  const of = <T>(value: T): { out?: T; in?: T } => ({
    ...(direction !== 'in' && { out: value }),
    ...(direction !== 'out' && { in: value })
  })
  const [only] = words
  const isSwitch = words.length === 1 && (only === 'down' || only === 'up') && trace === undefined && distribution === undefined
  return isSwitch ? { down: of(only === 'down') } : of(readLinkText({ words, trace, distribution }))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

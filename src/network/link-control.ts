/** Emulated links by name: sets, clears and lists them. */
import { DIRECTION_COUNTERS } from '../elements/netem/direction.ts'
import type { LinkSettings } from '../elements/netem/link-settings.ts'
import { LinkSettingsError } from '../elements/netem/link-settings.ts'
import { parseLinkTrace } from '../elements/netem/link-trace.ts'
import { LinkWordsError, linkWords, parseLinkWords } from '../elements/netem/link-words.ts'
import type { NetworkController } from './controller.ts'
import type { Endpoint } from './endpoint.ts'
import { endpointsNamed } from './explain-target.ts'
import type { LinkChange, LinkShape } from './link-shape.ts'
import type { Network } from './network.ts'
import { NetworkError } from './network-error.ts'
import { linkName } from './topology-builder.ts'

/** What to set: a target's link, anew in the directions that are named. */
export interface LinkWish {
  /** A container or endpoint (`web`, `front/web`), or a network: all its endpoints, those that come too. */
  readonly target: string
  /** As the endpoint sees it; default both. */
  readonly direction?: 'both' | 'out' | 'in'
  /** tc netem's, see elements/netem/link-words: ['delay', '50ms', 'loss', '1%']; none: not shaped any more. */
  readonly words: readonly string[]
  /** Text of a trace file: how rate, delay and loss change. */
  readonly trace?: string
}

/** A link that is shaped, or was. */
export interface LinkRow {
  readonly network: string
  /** '' for what a network gives to the endpoints that come. */
  readonly endpoint: string
  /** In words; '' where the direction is not shaped. */
  readonly out: string
  readonly in: string
  /** What the link has counted, by name: `out.lost`, `in.queueDrops`... */
  readonly counters: Readonly<Record<string, number>>
}

export class LinkControl {
  private readonly controller: NetworkController

  constructor(controller: NetworkController) {
    this.controller = controller
  }

  /** Those that are shaped, and those that were: by network and name. */
  links(): LinkRow[] {
    const rows: LinkRow[] = []
    for (const network of this.controller.networks.values()) {
      if (network.link !== null) rows.push(this.row(network, null))
      for (const endpoint of network.endpoints.values()) if (endpoint.link !== null) rows.push(this.row(network, endpoint))
    }
    return rows.sort((a, b) => compare(a.network, b.network) || compare(a.endpoint, b.endpoint))
  }

  /** Throws NetworkError `invalid`, `not-found`. */
  async setLink({ target, direction = 'both', words, trace }: LinkWish): Promise<LinkRow[]> {
    const settings = settingsOf(words, trace)
    const change: LinkChange = { ...(direction !== 'in' && { out: settings }), ...(direction !== 'out' && { in: settings }) }
    const found = this.endpoints(target)
    if (found !== null) {
      for (const { network, endpoint } of found) await this.controller.setLink(network.id, endpoint.name, change)
      return found.map(({ network, endpoint }) => this.row(network, endpoint))
    }
    const network = this.network(target)
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

  private network(target: string): Network {
    try {
      return this.controller.network(target)
    } catch (error) {
      if (!(error instanceof NetworkError) || error.code !== 'not-found') throw error
      throw new NetworkError('not-found', `no container, endpoint or network is called ${target}`, {
        fix: 'write web, front/web or front',
        cause: error
      })
    }
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
    const counted = this.controller.engine.elementCounters(linkName(endpoint))?.counters ?? {}
    const directions = [
      ['out', 'forward'],
      ['in', 'backward']
    ] as const
    return Object.fromEntries(
      directions.flatMap(([name, direction]) => DIRECTION_COUNTERS.map((key) => [`${name}.${key}`, counted[`${direction}.${key}`] ?? 0]))
    )
  }
}

/** null for nothing at all: not shaped. Throws NetworkError `invalid`. */
function settingsOf(words: readonly string[], trace: string | undefined): LinkSettings | null {
  if (words.length === 0 && trace === undefined) return null
  try {
    const settings = parseLinkWords(words)
    return trace === undefined ? settings : { ...settings, schedule: parseLinkTrace(trace) }
  } catch (error) {
    if (error instanceof LinkWordsError || error instanceof LinkSettingsError)
      throw new NetworkError('invalid', error.message, { cause: error })
    throw error
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Replays into ports of a running engine, by name. */
import type { CapturedFrame, CaptureInterface } from '../capture/capture-reader.ts'
import type { BpfProgram } from '../capture/filter/bpf-instruction.ts'
import { filterFunction } from '../capture/filter/filter-function.ts'
import type { ReplayElementOptions } from '../io/replay-element.ts'
import type { NetworkController } from '../network/controller.ts'
import type { Membership } from '../network/dns-records.ts'
import { endpointsNamed, withoutSite } from '../network/explain-target.ts'
import { NetworkError } from '../network/network-error.ts'
import { AddressMap } from './address-map.ts'
import { FramePlayer, type FramePlayerOptions, type ReplayStatus } from './frame-player.ts'
import { linkAddresses } from './link-addresses.ts'
import type { ReplaySource } from './replay-source.ts'

export interface ReplayWish {
  /** An endpoint: `web`, or `front/web`. */
  readonly into: string
  /** 2 plays twice as fast as recorded; Infinity as fast as the engine takes frames. Default 1. */
  readonly speed?: number
  /** Frames to be sent at most. */
  readonly limit?: number
  /** `OLD=NEW` each: see AddressMap. */
  readonly map?: readonly string[]
  /** Only frames that the capture has from the interface of this name (or number, from 0). */
  readonly interface?: string
  /** Only frames that it wants, under the addresses of the capture. */
  readonly filter?: BpfProgram
}

export interface ReplayRun {
  /** Resolves when the last frame has come into the engine, with what became of all; rejects with CaptureFormatError, NetworkError `closed`. */
  readonly done: Promise<ReplayStatus>
  status(): ReplayStatus
  /** Ends it early: `done` resolves. */
  stop(): Promise<void>
}

export class ReplayControl {
  private readonly controller: NetworkController
  private readonly site: string
  private readonly running = new Set<string>()

  /** @param site what the host is called in its lab: `host1/front/web` is its `front/web` */
  constructor(controller: NetworkController, site = '') {
    this.controller = controller
    this.site = site
  }

  /** Resolves when it plays. Rejects with NetworkError `invalid`, `not-found`, and when the source's beginning cannot be read. */
  async start(wish: ReplayWish, source: ReplaySource): Promise<ReplayRun> {
    const options = playerOptions(wish)
    const { network, endpoint } = this.port(wish.into)
    const { engine } = this.controller
    const element = this.freeElement(endpoint.element)
    const replay: ReplayElementOptions = { paced: options.speed !== Number.POSITIVE_INFINITY, mtu: network.mtu }
    this.running.add(element)
    try {
      await engine.patch({ elements: { [element]: { type: 'replay', options: replay } } })
    } catch (error) {
      this.running.delete(element)
      throw error
    }
    const player = new FramePlayer(engine, element, { ...options, addresses: linkAddresses(network, endpoint, options.map) })
    let last: ReplayStatus | null = null
    let ending: Promise<void> | null = null
    const end = (): Promise<void> => {
      ending ??= (async () => {
        last = player.status()
        this.running.delete(element)
        await engine.patch({ removed: [element] }).catch(() => {}) // the engine is closed
      })()
      return ending
    }
    const done = (async (): Promise<ReplayStatus> => {
      try {
        const isWhole = await player.play(source)
        if (!isWhole && ending === null) {
          throw new NetworkError('closed', `${wish.into} was disconnected while the capture was played`)
        }
        checkInterface(wish.interface, source)
        return last ?? player.status()
      } finally {
        await end()
      }
    })()
    return {
      done,
      status: () => last ?? player.status(),
      stop: async () => {
        player.stop()
        await end()
      }
    }
  }

  private port(into: string): Membership {
    const found = this.named(into)
    if (found.length === 1 || into.includes('/')) return found[0]
    const names = found.map(({ network, endpoint }) => `${network.name}/${endpoint.name}`)
    throw new NetworkError('invalid', `${into} is on ${found.length} networks`, { fix: `write ${names.join(' or ')}` })
  }

  private named(into: string): Membership[] {
    const own = withoutSite(into, this.site)
    try {
      return endpointsNamed(this.controller, into)
    } catch (error) {
      if (own === into || !(error instanceof NetworkError && error.code === 'not-found')) throw error
      return endpointsNamed(this.controller, own)
    }
  }

  private freeElement(port: string): string {
    for (let number = 1; ; number++) {
      const name = `${port}/replay-${number}`
      if (!this.running.has(name)) return name
    }
  }
}

/** The same words for a replay that is an endpoint of its own. Throws NetworkError `invalid`, CaptureFilterError. */
export function playerOptions({ speed, limit, map, interface: name, filter }: Omit<ReplayWish, 'into'>): Omit<
  FramePlayerOptions,
  'addresses'
> & {
  readonly map: AddressMap
} {
  if (speed !== undefined && !(speed > 0)) throw new NetworkError('invalid', `speed ${speed} must be above 0`)
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) throw new NetworkError('invalid', `limit ${limit} must be 1 or more`)
  return {
    map: new AddressMap(map),
    ...(speed !== undefined && { speed }),
    ...(limit !== undefined && { limit }),
    ...(name !== undefined && { select: ofInterface(name) }),
    ...(filter !== undefined && { filter: filterFunction(filter) })
  }
}

/** Throws NetworkError `not-found` when the capture had no interface of that name. */
export function checkInterface(name: string | undefined, source: ReplaySource): void {
  const names = source.interfaces().map((info, index) => info.name ?? String(index))
  if (name === undefined || names.includes(name)) return
  throw new NetworkError('not-found', `the capture has no interface ${name}`, {
    fix: `there is ${[...new Set(names)].join(', ') || 'none'}`
  })
}

function ofInterface(name: string): (frame: CapturedFrame, info: CaptureInterface) => boolean {
  return (frame, info) => info.name === name || (info.name === undefined && String(frame.interface) === name)
}

/**
 * An emulated link; see the README for what it does to frames.
 *
 *   port 0 rx -->| forward  |--> port 1 tx
 *   port 0 tx <--| backward |<-- port 1 rx
 */
import { isDeepStrictEqual } from 'node:util'
import type { Element, ElementContext, ElementType, Plain, Reply } from '../../engine/element.ts'
import { Direction, type DirectionTimers } from './direction.ts'
import { DIRECTION_COUNTERS } from './direction-counters.ts'
import type { FilterCompiler } from './frame-match.ts'
import { checkLinkSettings, type LinkSettings, LinkSettingsError } from './link-settings.ts'

export interface NetemOptions {
  readonly forward?: LinkSettings
  readonly backward?: LinkSettings
}

/** A direction that is left out stays as it is; null: unshaped. */
export interface NetemChange {
  readonly forward?: LinkSettings | null
  readonly backward?: LinkSettings | null
}

/** Ports. */
export const NetemPort = { near: 0, far: 1 } as const

const UNSHAPED: LinkSettings = {}

export class Netem implements Element {
  private readonly context: ElementContext
  private readonly compile: FilterCompiler | undefined
  private settings: { forward: LinkSettings; backward: LinkSettings }
  /** By the port where frames come in. */
  private readonly directions: [Direction, Direction]
  private readonly timers: readonly [DirectionTimers, DirectionTimers]

  /** Throws LinkSettingsError. */
  constructor(context: ElementContext, { forward = UNSHAPED, backward = UNSHAPED }: NetemOptions, compile?: FilterCompiler) {
    this.context = context
    this.compile = compile
    this.settings = { forward: this.checked(forward), backward: this.checked(backward) }
    const timers = (port: 0 | 1): DirectionTimers => ({
      free: context.timer((now) => this.directions[port].drain(now)),
      schedule: context.timer(() => this.directions[port].followSchedule())
    })
    this.timers = [timers(NetemPort.near), timers(NetemPort.far)]
    this.directions = [
      new Direction(context, NetemPort.far, forward, this.timers[NetemPort.near], compile),
      new Direction(context, NetemPort.near, backward, this.timers[NetemPort.far], compile)
    ]
  }

  push(): void {
    const { context, directions } = this
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) directions[port].push(context.ports[port]!.rx)
  }

  reconfigure(options: Plain): boolean {
    const { forward = UNSHAPED, backward = UNSHAPED } = options as NetemOptions
    // A direction that stays as it was is not begun anew: its schedule goes on, its models keep their state.
    this.update({
      ...(!isDeepStrictEqual(forward, this.settings.forward) && { forward }),
      ...(!isDeepStrictEqual(backward, this.settings.backward) && { backward })
    })
    return true
  }

  /** A NetemChange. */
  update(change: Plain): Plain {
    const { forward, backward } = change as NetemChange
    if (forward !== undefined) this.checked(forward ?? UNSHAPED)
    if (backward !== undefined) this.checked(backward ?? UNSHAPED)
    const undo: NetemChange = {
      ...(forward !== undefined && { forward: this.settings.forward }),
      ...(backward !== undefined && { backward: this.settings.backward })
    }
    if (forward !== undefined) this.replace(NetemPort.near, (this.settings.forward = forward ?? UNSHAPED))
    if (backward !== undefined) this.replace(NetemPort.far, (this.settings.backward = backward ?? UNSHAPED))
    return undo
  }

  command(verb: string, _argument: Plain, reply: Reply): void {
    if (verb !== 'show') return reply(new Error(`an emulated link knows the command show, not '${verb}'`))
    const [forward, backward] = this.directions
    reply(null, {
      forward: { settings: this.settings.forward, backlog: forward.backlog },
      backward: { settings: this.settings.backward, backlog: backward.backlog }
    })
  }

  close(): void {
    for (const direction of this.directions) direction.close()
  }

  /** Throws LinkSettingsError, and the compiler's errors. */
  private checked(settings: LinkSettings): LinkSettings {
    const { filter } = checkLinkSettings(settings).loss?.match ?? {}
    if (filter === undefined) return settings
    if (this.compile === undefined) throw new LinkSettingsError('loss.match.filter', filter.text, 'is a filter, and there are none here')
    this.compile(filter.program!)
    return settings
  }

  private replace(port: 0 | 1, settings: LinkSettings): void {
    const before = this.directions[port]
    before.stop()
    const next = new Direction(this.context, 1 - port, settings, this.timers[port], this.compile)
    next.inherit(before)
    this.directions[port] = next
  }
}

/** `compile`: what makes functions of filters; without it losses by a filter are refused. */
export function netemElement(compile?: FilterCompiler): ElementType<NetemOptions> {
  return {
    type: 'netem',
    maxPorts: 2,
    counters: ['forward', 'backward'].flatMap((direction) => DIRECTION_COUNTERS.map((name) => `${direction}.${name}`)),
    create: (context, options) => new Netem(context, options ?? {}, compile)
  }
}

/** A link without filters. */
export const netemType = netemElement()

/**
 * An emulated link; see the README for what it does to frames.
 *
 *   port 0 rx -->| forward  |--> port 1 tx
 *   port 0 tx <--| backward |<-- port 1 rx
 */
import type { Element, ElementContext, ElementType, Plain, Reply } from '../../engine/element.ts'
import { DIRECTION_COUNTERS, Direction, type DirectionTimers } from './direction.ts'
import { checkLinkSettings, type LinkSettings } from './link-settings.ts'

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
  private settings: { forward: LinkSettings; backward: LinkSettings }
  /** By the port where frames come in. */
  private readonly directions: [Direction, Direction]
  private readonly timers: readonly [DirectionTimers, DirectionTimers]

  /** Throws LinkSettingsError. */
  constructor(context: ElementContext, { forward = UNSHAPED, backward = UNSHAPED }: NetemOptions) {
    this.context = context
    this.settings = { forward: checkLinkSettings(forward), backward: checkLinkSettings(backward) }
    const timers = (port: 0 | 1): DirectionTimers => ({
      free: context.timer((now) => this.directions[port].drain(now)),
      schedule: context.timer(() => this.directions[port].followSchedule())
    })
    this.timers = [timers(NetemPort.near), timers(NetemPort.far)]
    this.directions = [
      new Direction(context, NetemPort.far, forward, this.timers[NetemPort.near]),
      new Direction(context, NetemPort.near, backward, this.timers[NetemPort.far])
    ]
  }

  push(): void {
    const { context, directions } = this
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) directions[port].push(context.ports[port]!.rx)
  }

  reconfigure(options: Plain): boolean {
    const { forward = null, backward = null } = options as NetemOptions
    this.update({ forward, backward })
    return true
  }

  /** A NetemChange. */
  update(change: Plain): Plain {
    const { forward, backward } = change as NetemChange
    if (forward !== undefined) checkLinkSettings(forward ?? UNSHAPED)
    if (backward !== undefined) checkLinkSettings(backward ?? UNSHAPED)
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

  private replace(port: 0 | 1, settings: LinkSettings): void {
    const before = this.directions[port]
    before.stop()
    const next = new Direction(this.context, 1 - port, settings, this.timers[port])
    next.inherit(before)
    this.directions[port] = next
  }
}

export const netemType: ElementType<NetemOptions> = {
  type: 'netem',
  maxPorts: 2,
  counters: ['forward', 'backward'].flatMap((direction) => DIRECTION_COUNTERS.map((name) => `${direction}.${name}`)),
  create: (context, options) => new Netem(context, options ?? {})
}

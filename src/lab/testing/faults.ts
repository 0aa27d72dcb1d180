/**
 * Fault scripts: frames that are dropped, doubled or corrupted by number, links that are cut, groups kept apart, hosts that fail.
 */
import type { FaultAction } from '../../elements/probe/probe-rule.ts'
import { NetworkError } from '../../network/network-error.ts'
import type { LabHost } from '../lab-host.ts'
import { type FrameMatcher, type MatchArguments, splitArguments } from './frame-matchers.ts'
import type { LabProbe, Place } from './lab-probe.ts'
import { type LabTime, nanoseconds } from './lab-time.ts'
import { type SeenFrame, seenFrame } from './seen-frame.ts'

export interface FaultOptions {
  /** On the link of one endpoint; anywhere by default. */
  readonly at?: Place
  /** From the endpoint, or to it. */
  readonly way?: 'out' | 'in'
  /** Only this one of the frames that match, counted from 1. */
  readonly nth?: number
  /** The first `count` of them, or from `nth` on; all that match without both. */
  readonly count?: number
}

export interface DuplicateOptions extends FaultOptions {
  /** Made of one frame, beside it; default 1. */
  readonly copies?: number
}

/** A fault that waits for its frames. */
export interface Fault {
  /** Those to which it has happened, as they were before. */
  readonly frames: readonly SeenFrame[]
  /** Ends it. */
  remove(): void
}

/** Groups that do not hear each other. */
export interface Partition {
  heal(): void
}

export class Faults {
  private readonly probe: LabProbe
  private readonly wait: (ns: number) => Promise<void>

  constructor(probe: LabProbe, wait: (ns: number) => Promise<void>) {
    this.probe = probe
    this.wait = wait
  }

  /** Loses frames on their link: `drop(tcp({ syn: true, ack: true }), { nth: 3 })`. Throws PatternError, NetworkError. */
  drop(...given: MatchArguments<FaultOptions>): Fault {
    const { matchers, options } = splitArguments(given)
    return this.fault('drop', matchers, options)
  }

  /** Sends frames several times. */
  duplicate(...given: MatchArguments<DuplicateOptions>): Fault {
    const { matchers, options } = splitArguments<DuplicateOptions>(given)
    return this.fault('duplicate', matchers, options)
  }

  /** Flips a bit behind the Ethernet header. */
  corrupt(...given: MatchArguments<FaultOptions>): Fault {
    const { matchers, options } = splitArguments(given)
    return this.fault('corrupt', matchers, options)
  }

  /** The link of an endpoint carries nothing any more, in either direction. */
  cut(place: Place): Promise<void> {
    return this.probe.cut(this.probe.slotOf(place), true)
  }

  restore(place: Place): Promise<void> {
    return this.probe.cut(this.probe.slotOf(place), false)
  }

  /** Groups of endpoints that do not hear each other; gateways, DNS and endpoints of no group are heard by all. */
  partition(...groups: readonly (readonly Place[])[]): Partition {
    if (groups.length < 2) throw new NetworkError('invalid', 'a partition has at least two groups of endpoints')
    return { heal: this.probe.partition(groups.map((group) => group.map((place) => this.probe.slotOf(place)))) }
  }

  /** A virtual host fails, and is back after `downFor` without anything that it knew: neighbors, sockets, what it waited for. */
  async reboot(host: LabHost, { downFor = 0 }: { readonly downFor?: LabTime } = {}): Promise<void> {
    const ns = nanoseconds(downFor, 'downFor')
    await this.cut(host)
    await host.fail()
    if (ns > 0) await this.wait(ns)
    host.recover()
    await this.restore(host)
  }

  private fault(action: FaultAction, matchers: readonly FrameMatcher[], options: DuplicateOptions): Fault {
    const { at, way, nth, count, copies } = options
    const frames: SeenFrame[] = []
    const from = nth ?? 1
    const last = count !== undefined ? from + count - 1 : nth
    for (const [field, value] of Object.entries({ nth, count, copies })) {
      if (value !== undefined && !(Number.isInteger(value) && value >= 1)) {
        throw new NetworkError('invalid', `${field}: ${value} is not a whole number from 1`)
      }
    }
    const remove = this.probe.fault(
      {
        action,
        pattern: matchers,
        from,
        ...(last !== undefined && { to: last }),
        ...(at !== undefined && { slot: this.probe.slotOf(at) }),
        ...(way !== undefined && { way }),
        ...(copies !== undefined && { copies })
      },
      (frame) => frames.push(seenFrame(frame, this.probe.nameOf))
    )
    return { frames, remove }
  }
}

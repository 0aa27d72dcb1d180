/**
 * The lab's hand on the probe (elements/probe): rules by number, endpoints by name.
 */
import { CompiledPattern, type FramePattern } from '../../elements/probe/frame-pattern.ts'
import type { ProbeCommands, ProbeEvent } from '../../elements/probe/probe.ts'
import type { ProbedFrame } from '../../elements/probe/recent-frames.ts'
import type { NetworkController } from '../../network/controller.ts'
import type { Endpoint } from '../../network/endpoint.ts'
import { NetworkError } from '../../network/network-error.ts'
import { PROBE_ELEMENT } from '../../network/topology-builder.ts'

/** A host, a sandbox, a machine, an attachment of the lab, or `network/endpoint`; a name alone where only one has it. */
export type Place = string | { readonly endpoint: Endpoint }

export class LabProbe {
  private readonly controller: NetworkController
  private readonly listeners = new Map<number, (frame: ProbedFrame) => void>()
  private ids = 0

  private constructor(controller: NetworkController) {
    this.controller = controller
    controller.engine.listen(PROBE_ELEMENT, (event) => {
      const { id, frame } = event as ProbeEvent
      this.listeners.get(id)?.(frame)
    })
  }

  static async start(controller: NetworkController): Promise<LabProbe> {
    await controller.probe()
    return new LabProbe(controller)
  }

  /** Calls `listener` with `count` frames; returns how to end it before. Throws PatternError, NetworkError. */
  watch(argument: Omit<ProbeCommands['watch'], 'id'>, listener: (frame: ProbedFrame) => void): () => void {
    return this.rule('watch', argument.pattern, argument, listener)
  }

  /** Calls `listener` with each frame to which it happened; returns how to end it. Throws PatternError, NetworkError. */
  fault(argument: Omit<ProbeCommands['fault'], 'id'>, listener: (frame: ProbedFrame) => void): () => void {
    return this.rule('fault', argument.pattern, argument, listener)
  }

  /** Keeps the groups apart; returns how to end it. */
  partition(groups: readonly (readonly number[])[]): () => void {
    const id = ++this.ids
    this.tell('partition', { id, groups })
    return () => this.tell('forget', { id })
  }

  async cut(slot: number, on: boolean): Promise<void> {
    await this.controller.engine.command(PROBE_ELEMENT, 'cut', { slot, on })
  }

  /** Oldest first. */
  async recent(): Promise<ProbedFrame[]> {
    return (await this.controller.engine.command(PROBE_ELEMENT, 'recent', {})) as ProbedFrame[]
  }

  /** Throws NetworkError `not-found`, `conflict` where several endpoints have the name. */
  slotOf(place: Place): number {
    if (typeof place !== 'string') return place.endpoint.dnsPort
    const all = this.endpoints()
    const named = all.filter(({ element }) => element === place)
    const found = named.length > 0 ? named : all.filter(({ name }) => name === place)
    if (found.length === 0) throw new NetworkError('not-found', `no endpoint is called ${place}`)
    if (found.length === 1) return found[0].dnsPort
    throw new NetworkError('conflict', `${found.map(({ element }) => element).join(' and ')} are called ${place}`, {
      fix: 'name the network too'
    })
  }

  /** `network/endpoint`; a number where the endpoint is gone. */
  readonly nameOf = (slot: number): string => this.endpoints().find(({ dnsPort }) => dnsPort === slot)?.element ?? `#${slot}`

  private endpoints(): Endpoint[] {
    return [...this.controller.networks.values()].flatMap(({ endpoints }) => [...endpoints.values()])
  }

  private rule(verb: 'watch' | 'fault', pattern: FramePattern, argument: object, listener: (frame: ProbedFrame) => void): () => void {
    // Here, so that a mistake is told where it is made: a rule's command has nobody who waits for it.
    new CompiledPattern(pattern)
    const id = ++this.ids
    this.listeners.set(id, listener)
    this.tell(verb, { ...argument, id })
    return () => {
      if (this.listeners.delete(id)) this.tell('forget', { id })
    }
  }

  /** The engine takes commands in order: what follows finds the rule in place. One that is closed has none left. */
  private tell(verb: string, argument: object): void {
    this.controller.engine.command(PROBE_ELEMENT, verb, argument).catch(() => {})
  }
}

/**
 * What one endpoint may send and get.
 *
 *   endpoint --0--> | source of packets and claims; icc | --1--> network
 *   network  --1--> | icc                               | --0--> endpoint
 *
 * A packet to the gateway under the endpoint's first address costs two comparisons; see the README for what is judged.
 * `judge` decides and changes nothing.
 */
import { dropReasons } from '../../engine/drop-reason.ts'
import type { Element, ElementContext, ElementType, Plain, Reply } from '../../engine/element.ts'
import { FrameFlag } from '../../engine/frame-pool.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_SOURCE, ETHERNET_TYPE, EtherType, isGroup } from '../../wire/ethernet.ts'
import { checkVlan, VLAN_TAG_LENGTH, vlanId } from '../../wire/vlan.ts'
import { FilterDrop } from './filter-drop.ts'
import { type FilterOptions, type FilterSettings, readFilterOptions } from './filter-options.ts'
import { IccRules } from './icc-rules.ts'
import { PASS, SourceGuard } from './source-guard.ts'

/** Ports. */
export const FilterPort = { endpoint: 0, network: 1 } as const

// Constants of this module are part of the code that V8 makes; those that it imports are looked up at every use.
const ipv4Type = EtherType.ipv4
const ipv6Type = EtherType.ipv6
const arpType = EtherType.arp
const vlanType = EtherType.vlan
const serviceVlanType = EtherType.serviceVlan

const Counter = { fromEndpoint: 0, fromNetwork: 1, refused: 2 } as const

export class Filter implements Element {
  private readonly context: ElementContext
  private guard: SourceGuard | null = null
  private icc: IccRules | null = null
  private hasGateway = false
  private gatewayHi = 0
  private gatewayLo = 0

  /** Throws FilterOptionError. */
  constructor(context: ElementContext, options: FilterOptions) {
    this.context = context
    this.apply(readFilterOptions(options))
  }

  reconfigure(options: Plain): boolean {
    this.apply(readFilterOptions(options as FilterOptions))
    return true
  }

  push(): void {
    const { context } = this
    const { frames, counters } = context
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      const out = context.ports[1 - port]
      counters[port] += rx.size
      while (!rx.empty) {
        const frame = rx.receive()
        const at = frames.start[frame]
        const reason = this.judge(frames.bytes(frame), frames.view(frame), at, at + frames.length[frame], port)
        if (reason === PASS) {
          if (out) out.tx.transmit(frame)
          else context.transmit(1 - port, frame)
          continue
        }
        counters[Counter.refused]++
        if ((frames.flags[frame] & FrameFlag.traced) !== 0) context.trace(frame, `filter: ${dropReasons()[reason].text}`)
        context.drop(frame, reason)
      }
    }
  }

  command(verb: string, argument: Plain, reply: Reply): void {
    if (verb !== 'explain') return reply(new Error(`a filter knows the command explain, not '${verb}'`))
    const { port = FilterPort.endpoint, frame } = (argument ?? {}) as { port?: number; frame?: Uint8Array }
    if (!(frame instanceof Uint8Array)) return reply(new TypeError('explain: the argument must be { port: number, frame: Uint8Array }'))
    const reason = this.judge(frame, new DataView(frame.buffer, frame.byteOffset, frame.length), 0, frame.length, port)
    if (reason === PASS) return reply(null, { passes: true, reason: null, why: null })
    const { name, text } = dropReasons()[reason]
    reply(null, { passes: false, reason: name, why: text })
  }

  private apply({ gateway, ...settings }: FilterSettings): void {
    this.hasGateway = gateway !== null
    this.gatewayHi = gateway?.hi ?? 0
    this.gatewayLo = gateway?.lo ?? 0
    this.guard = settings.sources === null ? null : new SourceGuard({ gateway, ...settings })
    this.icc = settings.icc === null ? null : new IccRules(settings.icc)
  }

  /** A reason for which the frame in [at, end) that came in by `port` must not go on, or PASS. `view` is of the same bytes. */
  private judge(bytes: Uint8Array, view: DataView, at: number, end: number, port: number): number {
    if (end - at < ETHERNET_HEADER_LENGTH) return FilterDrop.runt
    return port === FilterPort.endpoint ? this.judgeOutward(bytes, view, at, end) : this.judgeInward(bytes, view, at, end)
  }

  private judgeOutward(bytes: Uint8Array, view: DataView, at: number, end: number): number {
    if (this.isGateway(view, at + ETHERNET_SOURCE)) return FilterDrop.gatewayMac
    const toGateway = this.isGateway(view, at)
    const { guard, icc } = this
    if (guard !== null) {
      const type = view.getUint16(at + ETHERNET_TYPE)
      const payload = at + ETHERNET_HEADER_LENGTH
      let reason: number = PASS
      if (type === ipv4Type) reason = guard.judgeIpv4(bytes, at, payload, end, toGateway)
      else if (type === ipv6Type) reason = guard.judgeIpv6(bytes, at, payload, end, toGateway)
      else if (type === arpType) reason = guard.judgeArp(bytes, payload, end)
      else if (type === vlanType || type === serviceVlanType) reason = judgeTagged(guard, bytes, view, at, end, toGateway)
      if (reason !== PASS) return reason
    }
    // A group's frame may be for the gateway: the others refuse it where it arrives.
    if (icc === null || toGateway || isGroup(bytes, at)) return PASS
    return icc.allow(bytes, at, end, true) ? PASS : FilterDrop.notLinked
  }

  private judgeInward(bytes: Uint8Array, view: DataView, at: number, end: number): number {
    if (this.icc === null || this.isGateway(view, at + ETHERNET_SOURCE)) return PASS
    return this.icc.allow(bytes, at, end, false) ? PASS : FilterDrop.notLinked
  }

  private isGateway(view: DataView, at: number): boolean {
    return this.hasGateway && view.getInt32(at + 2) === this.gatewayLo && view.getUint16(at) === this.gatewayHi
  }
}

/**
 * A frame with VLAN tags. VLAN id 0 means priority only, and receivers take what follows as if it were untagged, however many such
 * tags there are (Linux: skb_vlan_untag in __netif_receive_skb_core). What belongs to a VLAN is none of this network's traffic.
 */
function judgeTagged(guard: SourceGuard, bytes: Uint8Array, view: DataView, at: number, end: number, toGateway: boolean): number {
  let tag = at + ETHERNET_TYPE
  for (; isTag(view.getUint16(tag)); tag += VLAN_TAG_LENGTH) {
    if (!checkVlan(bytes, tag, end)) return FilterDrop.malformed
    if (vlanId(bytes, tag) !== 0) return PASS
  }
  const type = view.getUint16(tag)
  const payload = tag + 2
  if (type === ipv4Type) return guard.judgeIpv4(bytes, at, payload, end, toGateway)
  if (type === ipv6Type) return guard.judgeIpv6(bytes, at, payload, end, toGateway)
  return type === arpType ? guard.judgeArp(bytes, payload, end) : PASS
}

function isTag(type: number): boolean {
  return type === vlanType || type === serviceVlanType
}

/** Options: FilterOptions, reconfigured in place. */
export const filterType: ElementType<FilterOptions> = {
  type: 'filter',
  maxPorts: 2,
  counters: Object.keys(Counter),
  create: (context, options) => new Filter(context, options)
}

/** Plays a stream through a gateway: each end answers what that gateway showed it. */
import { formatIpv4 } from '../../src/wire/address.ts'
import { get16, get32 } from '../../src/wire/big-endian.ts'
import { describeFlow, describeFrames, Names } from './describe.ts'
import type { Gateway, OutFrame } from './gateway.ts'
import { type FlowView, makeFrame, noView } from './make-packet.ts'
import type { Flow, Step, Stream } from './stream.ts'

const ETHERNET = 14
const HAS_PORTS = new Set([6, 17])

/** What a gateway made of a stream, as text. */
export interface Played {
  /** Of each step, what came out. */
  readonly steps: readonly (readonly string[])[]
  readonly flows: readonly string[]
  /** Of each step, what the gateway says of it (why it dropped). */
  readonly notes: readonly (readonly string[])[]
  /** Ports and ids that the gateway chose. */
  readonly chosen: number
}

export interface PlayOptions {
  /** The gateway's table is read at the end. */
  readonly withFlows: boolean
}

/** A stream on its way through a gateway: for who lets time go by between two steps. */
export class Player {
  private readonly stream: Stream
  private readonly gateway: Gateway
  private readonly names: Names
  private readonly views: FlowView[]
  private readonly steps: string[][] = []
  private readonly notes: string[][] = []

  constructor(stream: Stream, gateway: Gateway) {
    this.stream = stream
    this.gateway = gateway
    this.names = new Names(stream)
    this.views = stream.flows.map(noView)
    gateway.notes?.()
  }

  /** Plays the steps up to number `end`. */
  playTo(end: number): void {
    const { stream, gateway, views } = this
    for (const step of stream.steps.slice(this.steps.length, end)) {
      const { interface: number, bytes } = makeFrame(stream, step, views[step.flow])
      const out = gateway.send(number, bytes, step.segment)
      for (const frame of out) learn(stream.flows[step.flow], step, views[step.flow], frame)
      gateway.pass(stream.pace)
      this.notes.push(gateway.notes?.() ?? [])
      this.steps.push(
        describeFrames(
          out.sort((one, other) => one.interface - other.interface),
          this.names
        )
      )
    }
  }

  result({ withFlows }: PlayOptions): Played {
    const { stream, gateway, names, steps, notes } = this
    const flows = withFlows ? gateway.flows(addressesOf(stream)).map((flow) => describeFlow(flow, names)) : []
    return { steps, notes, flows: flows.sort(), chosen: names.chosen.size }
  }
}

export function play(stream: Stream, gateway: Gateway, options: PlayOptions): Played {
  const player = new Player(stream, gateway)
  player.playTo(stream.steps.length)
  return player.result(options)
}

/** What the end of a flow takes note of. Fragments but the first, and errors, tell nobody's address. */
function learn(flow: Flow, step: Step, view: FlowView, { interface: number, bytes }: OutFrame): void {
  if (get16(bytes, 12) !== 0x0800 || bytes.length < ETHERNET + 28) return
  const other = step.from === 'client' ? 'server' : 'client'
  const end = flow[other]
  const at = ETHERNET
  if (number !== end.interface || formatIpv4(get32(bytes, at + 16)) !== end.address) return
  if (step.body.kind === 'error' || (get16(bytes, at + 6) & 0x1fff) !== 0 || bytes[at + 9] !== flow.protocol) return
  const transport = at + 4 * (bytes[at] & 15)
  // When both ends are one station, only the port tells them apart.
  if (HAS_PORTS.has(flow.protocol) && get16(bytes, transport + 2) !== end.port) return
  view.received[other] = bytes.slice(at, at + get16(bytes, at + 2))
  // What was sent with an address or port of its own, or broken, is no sign of the flow.
  if (other === 'client' || step.source !== undefined || step.edits !== undefined) return
  const port = flow.protocol === 1 ? get16(bytes, transport + 4) : get16(bytes, transport)
  view.seen = { address: formatIpv4(get32(bytes, at + 12)), port }
}

function addressesOf({ flows }: Stream): Set<string> {
  return new Set(flows.flatMap(({ client, server }) => [client.address, server.address]))
}

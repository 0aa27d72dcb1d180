/**
 * VXLAN tunnel endpoint, RFC 7348.
 *
 *   port 0, underlay  | Ethernet | IP | UDP | VXLAN | inner frame |
 *   port N, segments  |                             | inner frame |      one VNI each, linked to a bridge
 *
 *   port N rx -->| known neighbor? answer; FDB look-up(destination); outer headers |--> port 0 tx
 *   port 0 rx -->| outer headers right, VTEP known; VNI look-up; learn(source)     |--> port N tx
 *
 * What comes from the underlay never goes back there. Owns every frame that it receives; transmit and drop give ownership away.
 * Super-frames pass whole.
 */
import { EngineDrop } from '../../engine/drop-reason.ts'
import type { Element, ElementContext, ElementType, Plain, Reply } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle, type FramePool, NO_FRAME } from '../../engine/frame-pool.ts'
import type { Link } from '../../engine/link.ts'
import type { Timer } from '../../engine/timer-queue.ts'
import { ETHERNET_HEADER_LENGTH, isGroup, macHi, macLo } from '../../wire/ethernet.ts'
import { Learned, NOT_FOUND } from '../bridge/fdb.ts'
import { Reassembler } from '../fragment/reassembler.ts'
import { cutSuperFrame, headersOf, segmentsOf } from '../netem/cut-super-frame.ts'
import { answerNeighbor, type NeighborOf } from './answer-neighbor.ts'
import { Decapsulator, FRAGMENT, OTHER, VXLAN } from './decap.ts'
import { Encapsulator, READY, TOO_LONG } from './encap.ts'
import { explainTunnel, type TunnelQuestion } from './explain-tunnel.ts'
import { type FastDecap, fastDecapFor, JUDGED_WORDS, judgedAt, type OwnStation } from './fast-decap.ts'
import { type FastDecap6, fastDecap6For, JUDGED6_WORDS, judge6, type OwnStation6 } from './fast-decap6.ts'
import { type FastEncap, fastEncapFor } from './fast-encap.ts'
import { type FastEncap6, fastEncap6For } from './fast-encap6.ts'
import { fitPacket, mayFragment } from './fit-packet.ts'
import type { Segment } from './segment.ts'
import { ANSWERED, UnderlayStation } from './underlay-station.ts'
import { NO_VTEP, VTEP_WORDS, Vtep } from './vtep-table.ts'
import { VxlanDrop } from './vxlan-drop.ts'
import { readVxlanOptions, VXLAN_PORTS_MAX, type VxlanChange, type VxlanOptions, type VxlanSettings } from './vxlan-options.ts'
import { VxlanRecords } from './vxlan-records.ts'

const SECOND = 1e9
const BATCH = 256
/** Of an outer packet: they come back to back, and at a TAP underlay later ones of other sockets come too, without their first. */
const FRAGMENT_SECONDS = 3
/** Frames of one port, and the port they leave by. All VTEPs of a thread share them: nothing is left in them by `push`. */
const batch = new Int32Array(BATCH)
const egress = new Int32Array(1)

const COUNTERS = [
  'encapsulated',
  'decapsulated',
  'answered',
  'replicated',
  'copies',
  'copyFailures',
  'fragmented',
  'errors',
  'learned',
  'moved',
  'learnRefused',
  'aged',
  'fragmentsJoined'
] as const

export class VxlanVtep implements Element {
  private readonly context: ElementContext
  private readonly frames: FramePool
  private readonly records: VxlanRecords
  private readonly encap: Encapsulator
  private readonly decap: Decapsulator
  private readonly station: UnderlayStation
  private readonly fastEncap: FastEncap
  private readonly fastDecap: FastDecap
  private readonly fastEncap6: FastEncap6
  private readonly fastDecap6: FastDecap6
  private readonly ageing: Timer
  private readonly judged = new Int32Array(JUDGED_WORDS)
  private readonly judged6 = new Int32Array(JUDGED6_WORDS)
  /** Of outer packets that a router on the way has cut; made with the first fragment, which most VTEPs never see. */
  private reassembler: Reassembler | null = null
  /** Some segment does: every VTEP is believed. */
  private isLearning = false
  private options: VxlanOptions
  private settings: VxlanSettings
  private own: OwnStation
  private own6: OwnStation6
  private seconds = 0
  /** The segment whose frame is in hand. */
  private at: Segment | null = null
  private readonly neighborOf: NeighborOf = (w0, w1, w2, w3, found) => this.at!.findNeighbor(w0, w1, w2, w3, found)
  private encapsulated = 0
  private decapsulated = 0
  private answered = 0
  private replicated = 0
  private copies = 0
  private copyFailures = 0
  private fragmented = 0
  private errors = 0
  private learned = 0
  private moved = 0
  private learnRefused = 0
  private aged = 0

  constructor(context: ElementContext, options: VxlanOptions) {
    this.context = context
    this.frames = context.frames
    this.options = options
    this.settings = readVxlanOptions(options)
    this.records = new VxlanRecords(this.settings)
    const { vteps } = this.records
    this.encap = new Encapsulator(context.frames, vteps, this.settings, context.random.below(65_536))
    this.decap = new Decapsulator(context.frames, this.settings)
    this.station = new UnderlayStation(context.frames, vteps, this.settings)
    this.fastEncap = fastEncapFor(context.frames, batch)
    this.fastDecap = fastDecapFor(context.frames, batch, egress)
    this.fastEncap6 = fastEncap6For(context.frames, batch)
    this.fastDecap6 = fastDecap6For(context.frames, batch, egress)
    this.ageing = context.timer(() => this.age())
    this.own = ownStation(this.settings)
    this.own6 = ownStation6(this.settings)
    this.records.update(options)
    this.forgetJudged()
  }

  push(): void {
    const { context } = this
    this.seconds = this.second()
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      if (port === 0) this.fromUnderlay(rx)
      else this.fromSegment(rx, this.records.byPort[port] ?? null)
    }
    this.count()
  }

  private fromSegment(rx: Link, segment: Segment | null): void {
    const { context, fastEncap, fastEncap6, encap, records } = this
    const underlay = context.ports[0]?.tx ?? null
    const { udpChecksum, addresses } = this.settings
    const sums6 = udpChecksum[6] ? 1 : 0
    const isUsual4 = underlay !== null && !udpChecksum[4]
    const isUsual6 = underlay !== null && addresses.some(isIpv6)
    this.at = segment
    while (!rx.empty) {
      const count = rx.receiveAll(batch)
      if (segment === null) {
        for (let i = 0; i < count; i++) context.drop(batch[i], VxlanDrop.noSegment)
        continue
      }
      for (let at = 0; at < count; ) {
        let done = isUsual4 ? fastEncap(at, count, segment.fdb, records.vteps, segment.vni, segment.mtu, encap.id) : at
        if (done > at) encap.id = (encap.id + done - at) & 0xffff
        else if (isUsual6) done = fastEncap6(at, count, segment.fdb, records.vteps, segment.vni, segment.mtu, sums6)
        if (done === at) this.encapsulate(batch[at++], segment)
        else {
          this.encapsulated += done - at
          if (at === 0) underlay!.transmitAll(batch, done)
          else for (let i = at; i < done; i++) underlay!.transmit(batch[i])
          at = done
        }
      }
    }
  }

  /** One frame of a segment. */
  private encapsulate(frame: FrameHandle, segment: Segment): void {
    const { context, frames } = this
    if (frames.length[frame] < ETHERNET_HEADER_LENGTH) return context.drop(frame, VxlanDrop.runt)
    if (segment.suppresses && answerNeighbor(frames, frame, this.neighborOf)) {
      this.answered++
      if (this.isTraced(frame)) context.trace(frame, 'answered here: the neighbor is known')
      return context.transmit(segment.port, frame)
    }
    const bytes = frames.bytes(frame)
    const start = frames.start[frame]
    if (isGroup(bytes, start)) {
      if (segment.floods) this.replicate(frame, segment)
      else context.drop(frame, VxlanDrop.broadcast)
      return
    }
    const vtep = segment.fdb.lookup(macHi(bytes, start), macLo(bytes, start))
    if (vtep !== NOT_FOUND) this.send(frame, segment, vtep)
    else if (segment.floods) this.replicate(frame, segment)
    else context.drop(frame, VxlanDrop.unknownDestination)
  }

  private send(frame: FrameHandle, segment: Segment, vtep: number): void {
    const { context, encap } = this
    const result = encap.encapsulate(frame, segment.vni, segment.mtu, vtep)
    if (result === READY) {
      this.encapsulated++
      if (this.isTraced(frame)) context.trace(frame, `encapsulate for ${this.records.vteps.address(vtep)}, VNI ${segment.vni}`)
      context.transmit(0, frame)
    } else if (result === TOO_LONG) this.fit(frame, segment, vtep)
    else context.drop(frame, result)
  }

  /** The frame is too long for the way: it is cut where that may be done, else its sender is told. */
  private fit(frame: FrameHandle, segment: Segment, vtep: number): void {
    const { context, frames, encap } = this
    const limit = encap.limit(segment.mtu, vtep)
    const longest = encap.segmentLength(frame)
    if (longest > limit && headersOf(frames, frame) > 0 && mayFragment(frames, frame)) return this.fitSegments(frame, segment, vtep)
    const pieces = fitPacket(frames, frame, limit, longest, (piece, error) => {
      if (error) {
        this.errors++
        context.enter(piece)
        context.transmit(segment.port, piece)
      } else this.sendPiece(piece, segment, vtep)
    })
    if (pieces > 0) {
      this.fragmented++
      this.copies += pieces - 1
    } else context.drop(frame, pieces === 0 ? VxlanDrop.tooBig : VxlanDrop.oversize)
  }

  /** Each segment of a super-frame is too long by itself, but for the last one. Where the pool has no frame for one, the rest ends with it. */
  private fitSegments(frame: FrameHandle, segment: Segment, vtep: number): void {
    const { context, frames } = this
    const count = segmentsOf(frames, frame)
    for (let i = 0; i < count; i++) {
      const one = cutSuperFrame(frames, frame, i, 1)
      if (one === NO_FRAME) {
        this.copyFailures++
        return context.drop(frame, EngineDrop.poolExhausted)
      }
      this.copies++
      this.send(one, segment, vtep)
    }
    frames.free(frame)
    this.copies--
  }

  /** A piece fits, unless the table changed meanwhile. */
  private sendPiece(frame: FrameHandle, segment: Segment, vtep: number): void {
    const result = this.encap.encapsulate(frame, segment.vni, segment.mtu, vtep)
    if (result === READY) {
      this.encapsulated++
      this.context.transmit(0, frame)
    } else this.context.drop(frame, result === TOO_LONG ? VxlanDrop.oversize : result)
  }

  /** Head-end replication: a copy for each VTEP of the segment. */
  private replicate(frame: FrameHandle, segment: Segment): void {
    const { context, frames, records } = this
    const { remotes } = segment
    const { words } = records.vteps
    let last = NO_VTEP
    for (let i = 0; i < remotes.length; i++) {
      if (words[remotes[i] * VTEP_WORDS + Vtep.innerMtu] === 0) continue
      if (last !== NO_VTEP) {
        const copy = frames.copy(frame)
        if (copy === NO_FRAME) this.copyFailures++
        else {
          this.copies++
          this.send(copy, segment, last)
        }
      }
      last = remotes[i]
    }
    if (last === NO_VTEP) return context.drop(frame, VxlanDrop.noVtep)
    this.replicated++
    this.send(frame, segment, last)
  }

  private fromUnderlay(rx: Link): void {
    const { fastDecap, fastDecap6, own, own6, judged, judged6 } = this
    while (!rx.empty) {
      const count = rx.receiveAll(batch)
      for (let at = 0; at < count; ) {
        let done = fastDecap(at, count, own, judged)
        if (done === at) done = fastDecap6(at, count, own6, judged6)
        if (done === at) this.decapsulate(batch[at++])
        else {
          this.decapsulated += done - at
          this.toSegment(egress[0], at, done)
          at = done
        }
      }
    }
  }

  /** Sends `batch[from..to-1]`. */
  private toSegment(port: number, from: number, to: number): void {
    const { context } = this
    const link = context.ports[port]?.tx
    if (link === undefined) for (let i = from; i < to; i++) context.drop(batch[i], EngineDrop.unlinked)
    else if (from === 0) link.transmitAll(batch, to)
    else for (let i = from; i < to; i++) link.transmit(batch[i])
  }

  /** One frame of the underlay. */
  private decapsulate(frame: FrameHandle): void {
    const { context, decap, records } = this
    const read = decap.read(frame)
    if (read === OTHER) return this.toStation(frame)
    if (read === FRAGMENT) return this.reassemble(frame)
    if (read !== VXLAN) return context.drop(frame, read)
    const segment = records.byVni.get(decap.vni)
    if (segment === undefined || !segment.isOpen) return context.drop(frame, VxlanDrop.wrongVni)
    if (decap.isFromOwn) return context.drop(frame, VxlanDrop.ownSource)
    const { source } = decap
    const vtep = records.vteps.find(source[0], source[1], source[2], source[3])
    if (segment.learns) {
      if (!this.learn(frame, segment, vtep)) return context.drop(frame, VxlanDrop.falseVtep)
    } else if (!records.vteps.isKnown(vtep)) return context.drop(frame, VxlanDrop.unknownVtep)
    else this.judge(source, segment)
    const stripped = decap.strip(frame)
    if (stripped !== VXLAN) return context.drop(frame, stripped)
    this.decapsulated++
    if (this.isTraced(frame)) context.trace(frame, `decapsulate, VNI ${segment.vni}`)
    context.transmit(segment.port, frame)
  }

  /** A fragment of an outer packet. Only of VTEPs that are believed (all, where a segment learns), since those of others would take the room. */
  private reassemble(fragment: FrameHandle): void {
    const { context, decap, records } = this
    const { source } = decap
    const vtep = records.vteps.find(source[0], source[1], source[2], source[3])
    const isBelieved = records.vteps.isKnown(vtep) || this.isLearning
    if (!isBelieved) return context.drop(fragment, VxlanDrop.unknownVtep)
    this.reassembler ??= new Reassembler(context, { timeout: FRAGMENT_SECONDS })
    const whole = this.reassembler.add(fragment, 0)
    if (whole !== NO_FRAME) this.decapsulate(whole)
  }

  /** The fast path may take frames of this source and VNI. */
  private judge(source: Int32Array, segment: Segment): void {
    if ((source[0] | source[1]) !== 0 || source[2] !== 0xffff) return judge6(this.judged6, source, segment.vni, segment.port)
    const at = judgedAt(source[3], segment.vni)
    this.judged[at] = source[3]
    this.judged[at + 1] = segment.vni + 1
    this.judged[at + 2] = segment.port
  }

  /** False when the inner source is known to be elsewhere. */
  private learn(frame: FrameHandle, segment: Segment, known: number): boolean {
    const { decap, records } = this
    const hi = decap.sourceHi(frame)
    const lo = decap.sourceLo(frame)
    const before = segment.fdb.lookup(hi, lo)
    if (before !== NOT_FOUND && before !== known && segment.fdb.isStatic(hi, lo)) return false
    const { source } = decap
    const vtep = records.vteps.hear(source[0], source[1], source[2], source[3], this.seconds)
    const what = vtep === NO_VTEP ? Learned.refused : segment.fdb.learn(hi, lo, vtep, this.seconds)
    if (what === Learned.added) this.learned++
    else if (what === Learned.moved) this.moved++
    else if (what === Learned.refused) this.learnRefused++
    if (!this.ageing.armed) this.ageing.arm((this.seconds + this.settings.ageing + 1) * SECOND)
    return true
  }

  private toStation(frame: FrameHandle): void {
    const reason = this.station.take(frame, this.seconds)
    if (reason === ANSWERED) {
      this.answered++
      this.context.transmit(0, frame)
    } else this.context.drop(frame, reason)
    if (this.station.hasLearned) {
      this.station.hasLearned = false
      this.armAgeing()
    }
  }

  private isTraced(frame: FrameHandle): boolean {
    return (this.frames.flags[frame] & FrameFlag.traced) !== 0
  }

  private count(): void {
    const { counters } = this.context
    counters[0] = this.encapsulated
    counters[1] = this.decapsulated
    counters[2] = this.answered
    counters[3] = this.replicated
    counters[4] = this.copies
    counters[5] = this.copyFailures
    counters[6] = this.fragmented
    counters[7] = this.errors
    counters[8] = this.learned
    counters[9] = this.moved
    counters[10] = this.learnRefused
    counters[11] = this.aged
    if (this.reassembler !== null) counters[12] = this.reassembler.joined - this.reassembler.datagrams
  }

  update(change: Plain): Plain {
    const undo = this.records.update(change as VxlanChange)
    this.forgetJudged()
    return undo
  }

  /** After the records have changed. */
  private forgetJudged(): void {
    this.judged.fill(0)
    this.judged6.fill(0)
    this.isLearning = this.records.byPort.some(learns)
  }

  reconfigure(options: Plain): boolean {
    const next = options as VxlanOptions
    const settings = readVxlanOptions(next)
    const gone = VxlanRecords.removed(this.options)
    this.records.update({
      segments: { ...gone.segments, ...next.segments },
      vteps: { ...gone.vteps, ...next.vteps },
      peers: { ...gone.peers, ...next.peers }
    })
    this.options = next
    this.settings = settings
    this.records.applySettings(settings)
    this.encap.applySettings(settings)
    this.decap.applySettings(settings)
    this.station.applySettings(settings)
    this.own = ownStation(settings)
    this.own6 = ownStation6(settings)
    this.forgetJudged()
    return true
  }

  command(verb: string, argument: Plain, reply: Reply): void {
    this.age()
    const { records } = this
    const addressOf = (vtep: number): string => records.vteps.address(vtep)
    if (verb === 'explain') return reply(null, explainTunnel(records, argument as TunnelQuestion))
    if (verb === 'segments') {
      return reply(
        null,
        records.byPort.flatMap((segment) => (segment === null ? [] : [segment.describe(addressOf, this.seconds)]))
      )
    }
    if (verb === 'vteps') {
      const { words } = records.vteps
      return reply(
        null,
        records.vteps.list().map((vtep) => ({
          address: addressOf(vtep),
          known: records.vteps.isKnown(vtep),
          innerMtu: words[vtep * VTEP_WORDS + Vtep.innerMtu]
        }))
      )
    }
    reply(new Error(`a VTEP knows the commands segments, vteps and explain, not '${verb}'`))
  }

  close(): void {
    this.reassembler?.close()
  }

  /** Forgets what is too old and sees when the next will be. */
  private age(): void {
    this.seconds = this.second()
    const { byVni, vteps } = this.records
    for (const { fdb } of byVni.values()) this.aged += fdb.sweep(this.seconds)
    vteps.sweep(this.seconds - this.settings.ageing, this.seconds)
    this.count()
    this.armAgeing()
  }

  private armAgeing(): void {
    const { ageing } = this.settings
    let next = this.records.vteps.nextSweep(ageing)
    for (const { fdb } of this.records.byVni.values()) if (fdb.learned > 0) next = Math.min(next, fdb.oldest() + ageing + 1)
    if (Number.isFinite(next)) this.ageing.arm(next * SECOND)
    else this.ageing.disarm()
  }

  private second(): number {
    return (this.context.now / SECOND) | 0
  }
}

function learns(segment: Segment | null): boolean {
  return segment?.learns === true
}

function isIpv6({ family }: VxlanSettings['addresses'][number]): boolean {
  return family === 6
}

/** Of a VTEP without IPv4: an address that no packet is for. */
function ownStation({ mac, addresses, port }: VxlanSettings): OwnStation {
  const address = addresses.find(({ family }) => family === 4)?.words[3] ?? 0
  return { macFirst: (mac.hi << 16) | (mac.lo >>> 16), macLast: mac.lo & 0xffff, address, port }
}

/** The same of IPv6. */
function ownStation6({ mac, addresses, port }: VxlanSettings): OwnStation6 {
  const address = addresses.find(isIpv6)?.words ?? new Int32Array(4)
  return { macFirst: (mac.hi << 16) | (mac.lo >>> 16), macLast: mac.lo & 0xffff, address, port }
}

export const vxlanType: ElementType<VxlanOptions> = {
  type: 'vxlan',
  maxPorts: VXLAN_PORTS_MAX,
  counters: COUNTERS,
  create: (context, options) => new VxlanVtep(context, options)
}

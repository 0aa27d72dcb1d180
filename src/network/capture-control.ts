/**
 * Captures of one engine: any number at once, started and stopped while traffic flows, of one host or of all hosts of a lab.
 *
 *   endpoint -- capture -- ...        an element where at least one capture is, none elsewhere
 *               capture-drops         hears of dropped frames while a capture wants them
 *
 * What comes later (an endpoint on a captured network) joins before its first frame.
 */
import path from 'node:path'
import { CaptureWriter } from '../capture/capture-writer.ts'
import { InlineCaptureFile } from '../capture/inline-capture-file.ts'
import type { AddressNames, SectionOptions } from '../capture/pcapng-writer.ts'
import { CaptureMarks } from './capture-marks.ts'
import { type CapturePlan, type CapturePoint, TAP_SPEED } from './capture-point.ts'
import { type CaptureFileKind, CaptureSession, type CaptureWish, targetsOf } from './capture-session.ts'
import { ALL, isMeant } from './capture-targets.ts'
import type { NetworkController } from './controller.ts'
import type { Cable, EmulatedCables } from './emulated/emulated-cables.ts'
import type { EngineHost } from './engine-host.ts'
import type { CaptureOutlet, CaptureStatus, CaptureSummary, LiveCapture } from './live-capture.ts'
import { NetworkError } from './network-error.ts'

/** The element that hears of drops. No network's elements are called so: theirs have a slash. */
const DROPS_ELEMENT = 'capture-drops'

/** Captures that get a large ring; later ones get a small one, so that a hundred clients do not take gigabytes. */
const LARGE_RINGS = 4
/** Of a file: half a second of 1 Gbit/s, for which its writer may wait for a busy core or disk. */
const FILE_RING = 64 << 20
/** Of a stream, which has pieces under way besides. */
const STREAM_RING = 16 << 20
const SMALL_RING = 2 << 20

export interface CaptureControlOptions {
  /** The whole one, not a host's part of it. */
  readonly engine: EngineHost
  /** For section headers; of a virtual run nothing that tells of a machine. */
  readonly section: SectionOptions
}

/** A file that this process writes. */
export interface CaptureFilePlace {
  readonly path: string
  /** Told once when it cannot be written any more; the capture goes on and counts what is lost. */
  readonly onError?: (error: Error) => void
}

/** A part of what can be captured: a host's networks, or the cables of a lab. */
interface CaptureSite {
  /** The host's; '' where there is only one. */
  readonly name: string
  capturePoints(): CapturePoint[]
  /** Resolves when it runs so, and stays so for what comes. */
  setCapture(plan: CapturePlan | null): Promise<unknown>
  addressNames(): readonly AddressNames[]
  /** A network may have no points yet. */
  isNetwork(word: string): boolean
}

export class CaptureControl {
  private readonly options: CaptureControlOptions
  private readonly sites: CaptureSite[] = []
  private readonly hosts = new Map<NetworkController, CaptureSite>()
  private readonly sessions = new Map<string, CaptureSession>()
  private readonly writer = new CaptureWriter()
  private readonly marks = new CaptureMarks()
  private numbers = 0
  private closed = false
  /** The end of the line of changes. */
  private last: Promise<unknown> = Promise.resolve()

  constructor(options: CaptureControlOptions) {
    this.options = options
  }

  /** A host comes; `removeHost` before it closes. `name`: '' where it is the only one. */
  addHost(name: string, controller: NetworkController): void {
    const site: CaptureSite = {
      name,
      capturePoints: () => controller.capturePoints(),
      setCapture: (plan) => controller.setCapture(plan),
      addressNames: () => controller.addressNames(),
      isNetwork: (word) =>
        [...controller.networks.values()].some((network) => [network.name, network.id, `${name}/${network.name}`].includes(word))
    }
    this.sites.push(site)
    this.hosts.set(controller, site)
    controller.onNames = (names) => {
      for (const session of this.sessions.values()) session.addNames(names)
    }
  }

  removeHost(controller: NetworkController): void {
    const site = this.hosts.get(controller)
    if (site !== undefined) this.sites.splice(this.sites.indexOf(site), 1)
    this.hosts.delete(controller)
  }

  /** Those of a lab; they have no end of their own. */
  addCables(cables: EmulatedCables): void {
    const points = (): { cable: Cable; point: CapturePoint }[] => Array.from(cables, (cable) => ({ cable, point: cablePoint(cable) }))
    this.sites.push({
      name: '',
      capturePoints: () => points().map(({ point }) => point),
      setCapture: (plan) => cables.setCapture(plan === null ? null : (cable) => plan(cablePoint(cable))),
      addressNames: () => [],
      isNetwork: (word) => points().some(({ cable }) => cable.lan.name === word)
    })
  }

  /** Where frames can be captured now. */
  points(): CapturePoint[] {
    return this.sites.flatMap((site) =>
      site.capturePoints().map(({ link, ...point }) => {
        return { ...point, name: nameAt(site, point), ...(link !== undefined && { link: inSite(site, link) }) }
      })
    )
  }

  /** Those that run, oldest first. */
  captures(): CaptureStatus[] {
    return Array.from(this.sessions.values(), (session) => session.status())
  }

  /** Throws NetworkError `not-found`. */
  capture(id: string): LiveCapture {
    const session = this.sessions.get(id)
    if (session === undefined) throw new NetworkError('not-found', `no capture has the id ${id}`)
    return session
  }

  /**
   * Starts one into a file (`path`) or an outlet. Rejects with NetworkError `not-found` for a target that nobody is called, `invalid`,
   * and with CaptureFileError when the file cannot be written.
   */
  open(wish: CaptureWish, to: CaptureOutlet | CaptureFilePlace): Promise<CaptureSession> {
    return this.change(async () => {
      if (this.closed) throw new NetworkError('closed', 'captures have ended')
      for (const word of wish.targets ?? []) this.checkTarget(word)
      if ('path' in to) this.checkPath(to.path)
      const { engine, section } = this.options
      const outlet = 'path' in to ? null : to
      const id = `${++this.numbers}`
      const key = markKey(wish)
      const stop = (error: Error): void =>
        void this.sessions
          .get(id)
          ?.stop(error)
          .catch(() => {})
      const onError = 'path' in to ? (to.onError ?? (() => {})) : stop
      const output = await this.output(wish, to, onError)
      const session = new CaptureSession({
        id,
        wish,
        output,
        mark: key === null ? 0 : this.marks.take(key),
        os: section.os,
        startedAt: engine.epochNs + BigInt(Math.floor(engine.now())),
        end: (which, error) => this.change(() => this.end(which, outlet, error))
      })
      this.sessions.set(id, session)
      try {
        await engine.share(session.resource, session.target)
        for (const site of this.sites) session.addNames(site.addressNames())
        await this.replan()
        if (wish.drops !== false) await this.watchDrops(session)
        return session
      } catch (error) {
        this.sessions.delete(id)
        await this.forget(session).catch(() => {}) // the first error says why
        await output.close()
        throw error
      }
    })
  }

  /** Ends all captures, also those that are being opened, and their thread. */
  async close(): Promise<void> {
    this.closed = true
    await this.last
    const ended = await Promise.allSettled(Array.from(this.sessions.values(), (session) => session.stop()))
    await this.writer.close()
    const failed = ended.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /** Two writers would spoil one file. */
  private checkPath(file: string): void {
    for (const { output, id } of this.sessions.values()) {
      if (output.path === '' || path.resolve(output.path) !== path.resolve(file)) continue
      throw new NetworkError('conflict', `the capture ${id} writes ${file} already`, { fix: 'close that capture first' })
    }
  }

  private checkTarget(word: string): void {
    const isKnown =
      word === ALL ||
      this.sites.some(
        (site) =>
          (word !== '' && word === site.name) ||
          site.isNetwork(word) ||
          site.capturePoints().some((point) => isMeant(word, point, site.name))
      )
    if (isKnown) return
    throw new NetworkError('not-found', `there is nothing to capture that is called ${word}`, {
      fix: 'name a network, a container, an endpoint (lan/web), uplink, underlay or all'
    })
  }

  private async output(wish: CaptureWish, to: CaptureOutlet | CaptureFilePlace, onError: (error: Error) => void): Promise<CaptureFileKind> {
    const { engine, section } = this.options
    const { format, snapLength, segment, comment } = wish
    const comments = [section.comment, comment].filter((text) => text !== undefined && text !== '')
    const common = {
      format,
      snapLength,
      segment,
      baseTime: engine.epochNs,
      section: { ...section, ...(comments.length > 0 && { comment: comments.join('; ') }) },
      onError
    }
    const ringSize = this.sessions.size >= LARGE_RINGS ? SMALL_RING : 'path' in to ? FILE_RING : STREAM_RING
    if ('path' in to) {
      return engine.virtual ? InlineCaptureFile.open(to.path, common) : this.writer.open({ ...common, path: to.path, ringSize })
    }
    // Under a virtual clock nothing waits for a reader.
    if (engine.virtual) return InlineCaptureFile.into({ write: (bytes) => void to.write(bytes.slice()) }, common)
    return this.writer.open({ ...common, ringSize, onPiece: (bytes) => to.write(bytes) })
  }

  /** Tells every host which of its points are captured now. */
  private async replan(): Promise<void> {
    for (const site of this.sites) await site.setCapture(this.sessions.size === 0 ? null : this.planOf(site))
  }

  private planOf(site: CaptureSite): CapturePlan {
    return (point) => {
      const name = nameAt(site, point)
      const places = []
      for (const session of this.sessions.values()) {
        if (!session.wants(point, site.name)) continue
        const place = session.place(point, name)
        if (place === null) continue
        places.push(place)
        this.pointCame(session, site, point, place.interface!)
      }
      return places.length === 0 ? undefined : { places }
    }
  }

  /** Drops of what comes by it are recorded there, from soon on. */
  private pointCame(session: CaptureSession, site: CaptureSite, point: CapturePoint, number: number): void {
    if (!session.isWatchingDrops || session.watched.has(number)) return
    session.watched.add(number)
    const points = Object.fromEntries(point.elements.map((element) => [inSite(site, element), number]))
    this.options.engine.command(DROPS_ELEMENT, 'add', { capture: session.resource, points }).catch(() => {}) // the engine or the capture ended
  }

  private async watchDrops(session: CaptureSession): Promise<void> {
    const { engine } = this.options
    const isFirst = ![...this.sessions.values()].some(({ isWatchingDrops }) => isWatchingDrops)
    if (isFirst) await engine.patch({ elements: { [DROPS_ELEMENT]: { type: 'capture-drops' } } })
    session.isWatchingDrops = true
    for (const site of this.sites) {
      for (const point of site.capturePoints()) {
        if (!session.wants(point, site.name)) continue
        const number = session.interfaceOf(point, nameAt(site, point))
        if (number !== null) this.pointCame(session, site, point, number)
      }
    }
  }

  private async end(session: CaptureSession, outlet: CaptureOutlet | null, error: Error | undefined): Promise<CaptureSummary> {
    this.sessions.delete(session.id)
    let failure = error
    try {
      await this.forget(session)
    } catch (cause) {
      // An engine that is gone writes into no ring any more.
      failure ??= cause as Error
    }
    const summary = await session.output.close()
    outlet?.close(failure)
    return summary
  }

  /** The engine lets go of it. */
  private async forget(session: CaptureSession): Promise<void> {
    const { engine } = this.options
    const key = markKey(session.wish)
    if (key !== null) this.marks.give(key)
    await this.replan()
    if (session.isWatchingDrops) {
      const isLast = ![...this.sessions.values()].some(({ isWatchingDrops }) => isWatchingDrops)
      if (isLast) await engine.patch({ removed: [DROPS_ELEMENT] })
      else await engine.command(DROPS_ELEMENT, 'remove', { capture: session.resource, points: {} })
    }
    await engine.share(session.resource, undefined)
  }

  /** Runs one change after those before it. */
  private change<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work, work)
    this.last = result.catch(() => {})
    return result
  }
}

/** `host1/eth0` on its LAN; meant by the host's name and the LAN's too. */
function cablePoint({ name, lan, station: [element], mac, addresses, words, link }: Cable): CapturePoint {
  return {
    name,
    kind: 'interface',
    description: `cable of ${name} to ${lan.name}`,
    mac,
    addresses,
    network: lan.name,
    link: name,
    speed: link?.out?.rate?.bitsPerSecond ?? TAP_SPEED,
    ...(words !== undefined && { comment: words }),
    aliases: [lan.name, name.slice(0, Math.max(0, name.lastIndexOf('/')))],
    elements: [element, `link/${name}`]
  }
}

function nameAt(site: CaptureSite, point: Pick<CapturePoint, 'name'>): string {
  return inSite(site, point.name)
}

/** Of a word that one site knows (a point, its link, an element: see ScopedEngine), what it is called among all. */
function inSite({ name }: CaptureSite, word: string): string {
  return name === '' ? word : `${name}/${word}`
}

/** null: no mark is needed. Captures of the same targets have the same points. */
function markKey(wish: CaptureWish): string | null {
  return wish.everyPort === true ? null : [...targetsOf(wish)].sort().join(' ')
}

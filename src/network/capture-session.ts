/**
 * One capture: its file or stream, the interfaces in it, what it wants of which point.
 */
import type { CapturePlace } from '../capture/capture-element.ts'
import type { CaptureOutput } from '../capture/capture-output.ts'
import type { CaptureTarget } from '../capture/capture-tap.ts'
import type { BpfProgram } from '../capture/filter/bpf-instruction.ts'
import { InlineCaptureFile } from '../capture/inline-capture-file.ts'
import type { AddressNames } from '../capture/pcapng-writer.ts'
import { type CapturePoint, interfaceInfo } from './capture-point.ts'
import { ALL, isMeant } from './capture-targets.ts'
import type { CaptureStatus, CaptureSummary, LiveCapture } from './live-capture.ts'

export interface CaptureWish {
  /** See capture-targets; none: all. */
  readonly targets?: readonly string[]
  readonly filter?: { readonly text: string; readonly program: BpfProgram }
  /** Bytes kept of each frame; default: all. */
  readonly snapLength?: number
  /** Frames that cross several points are recorded at each; default: once for each content that they have. */
  readonly everyPort?: boolean
  /** Frames that end early are recorded with the reason; default true. */
  readonly drops?: boolean
  readonly format?: 'pcapng' | 'pcap'
  /** Super-frames are cut into packets; default false. */
  readonly segment?: boolean
  /** For the section header. */
  readonly comment?: string
}

export type CaptureFileKind = CaptureOutput | InlineCaptureFile

export interface CaptureSessionOptions {
  readonly id: string
  readonly wish: CaptureWish
  readonly output: CaptureFileKind
  /** See CaptureMarks. */
  readonly mark: number
  /** For interface blocks; undefined under a virtual clock. */
  readonly os: string | undefined
  readonly startedAt: bigint
  /** Ends it; called once. */
  readonly end: (session: CaptureSession, error: Error | undefined) => Promise<CaptureSummary>
}

export class CaptureSession implements LiveCapture {
  readonly id: string
  readonly wish: CaptureWish
  readonly output: CaptureFileKind
  readonly ended: Promise<CaptureSummary>
  /** Whether drops are recorded, and the interfaces of which the engine knows that. */
  isWatchingDrops = false
  readonly watched = new Set<number>()
  private readonly options: CaptureSessionOptions
  private readonly targets: readonly string[]
  /** By name of the point; one that comes back under its name keeps its interface. */
  private readonly interfaces = new Map<string, number>()
  /** Names of points for which the file had no interface left. */
  private readonly leftOut = new Set<string>()
  /** What was written of each address. */
  private readonly names = new Map<string, string>()
  private stopping: Promise<CaptureSummary> | null = null
  private settle!: (summary: CaptureSummary) => void

  constructor(options: CaptureSessionOptions) {
    this.options = options
    this.id = options.id
    this.wish = options.wish
    this.output = options.output
    this.targets = targetsOf(options.wish)
    this.ended = new Promise((resolve) => {
      this.settle = resolve
    })
  }

  /** The name of the engine's resource that it is. */
  get resource(): string {
    return `capture/${this.id}`
  }

  /** What the engine is told of it. */
  get target(): CaptureTarget {
    const { output, wish } = this
    const filter = wish.filter === undefined ? {} : { filter: wish.filter.program }
    return output instanceof InlineCaptureFile ? { sink: output, ...filter } : { ...output.target, ...filter }
  }

  wants(point: CapturePoint, site: string): boolean {
    return this.targets.some((word) => isMeant(word, point, site))
  }

  /** Its place at a point that it wants; null: see `interfaceOf`. `name` is the point's among all hosts. */
  place(point: CapturePoint, name: string): CapturePlace | null {
    const { resource, options } = this
    const number = this.interfaceOf(point, name)
    return number === null ? null : { target: resource, interface: number, mark: options.mark }
  }

  /**
   * The interface of a point, which comes with the first call. null: the file has all that it can have, and the point is left out
   * and counted, since a capture that is full must not keep a container from its network.
   */
  interfaceOf(point: CapturePoint, name: string): number | null {
    const known = this.interfaces.get(name)
    if (known !== undefined) return known
    const { os } = this.options
    const { filter, snapLength } = this.wish
    const info = { ...interfaceInfo(point), name, ...(os !== undefined && { os }), ...(snapLength !== undefined && { snapLength }) }
    try {
      const number = this.output.addInterface({ ...info, ...(filter !== undefined && { filter: filter.text }) })
      this.interfaces.set(name, number)
      return number
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.leftOut.add(name)
      return null
    }
  }

  /** Those that it has not yet, or otherwise. */
  addNames(entries: readonly AddressNames[]): void {
    const fresh = entries.filter(({ address, names, comment = '' }) => {
      const key = address.join('.')
      const text = [...names, comment].join(' ')
      if (this.names.get(key) === text) return false
      this.names.set(key, text)
      return true
    })
    if (fresh.length > 0) this.output.addNames(fresh)
  }

  status(): CaptureStatus {
    const { id, options, output, targets, wish } = this
    return {
      id,
      targets,
      points: [...this.interfaces.keys()],
      pointsLeftOut: this.leftOut.size,
      filter: wish.filter?.text ?? '',
      format: wish.format ?? 'pcapng',
      snapLength: output.snapLength,
      startedAt: options.startedAt.toString(),
      frames: output.recorded,
      dropped: output.dropped,
      bytes: output.recordedBytes
    }
  }

  stop(error?: Error): Promise<CaptureSummary> {
    if (this.stopping === null) {
      this.stopping = this.options.end(this, error)
      this.stopping.then(this.settle, () => this.settle({ frames: 0, dropped: offeredTo(this), bytes: 0 }))
    }
    return this.stopping
  }
}

function offeredTo({ output: { recorded, dropped } }: CaptureSession): number {
  return recorded + dropped
}

export function targetsOf({ targets = [] }: CaptureWish): readonly string[] {
  return targets.length === 0 ? [ALL] : targets
}

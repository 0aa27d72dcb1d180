/** A daemon of captures alone: the routes over a unix socket, and behind them a recording, played frame by frame. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type {
  CaptureBackend,
  CaptureOutlet,
  CapturePointRow,
  CaptureRequest,
  CaptureStatus,
  CaptureSummary,
  LiveCapture
} from '../../src/api/capture-backend.ts'
import { captureRoutes } from '../../src/api/capture-routes.ts'
import type { LinkRequest, LinkRow } from '../../src/api/link-json.ts'
import { linkRoutes } from '../../src/api/link-routes.ts'
import { Logger } from '../../src/api/logger.ts'
import { Router } from '../../src/api/router.ts'
import { ApiServer } from '../../src/api/server.ts'
import { CaptureCutter, type CapturePiece } from '../../src/capture/capture-cutter.ts'
import { linkWords, parseLinkWords } from '../../src/elements/netem/link-words.ts'
import { NetworkError } from '../../src/network/network-error.ts'

const GOLDEN = path.resolve(import.meta.dirname, '../../../captures/vxlan-vtep')

/** A recording of ours, in pieces of one block. */
export function recording(): CapturePiece[] {
  const file = readdirSync(GOLDEN).find((name) => /^out\..*\.pcapng$/.test(name))!
  const cutter = new CaptureCutter()
  cutter.push(readFileSync(path.join(GOLDEN, file)))
  const pieces: CapturePiece[] = []
  for (let piece = cutter.next(1); piece !== null; piece = cutter.next(1)) pieces.push(piece)
  return pieces
}

export const POINTS: readonly CapturePointRow[] = [
  {
    name: 'lan/web',
    kind: 'endpoint',
    description: 'container web',
    mac: '02:cc:00:00:00:01',
    addresses: ['192.0.2.2/24'],
    network: 'lan',
    link: 'lan/web'
  },
  {
    name: 'lan/db',
    kind: 'endpoint',
    description: 'container db',
    mac: '02:cc:00:00:00:02',
    addresses: ['192.0.2.3/24'],
    network: 'lan',
    link: 'lan/db'
  },
  // Of a lab: an endpoint of this host, one of another, and a cable.
  { name: 'host1/front/api', kind: 'endpoint', description: 'container api', addresses: [], network: 'front', link: 'front/api' },
  { name: 'host2/front/api', kind: 'endpoint', description: 'container api', addresses: [], network: 'front' },
  { name: 'host1/eth0', kind: 'interface', description: 'cable of host1', addresses: [], network: 'office', link: 'host1/eth0' },
  { name: 'uplink', kind: 'uplink', description: 'the way out', addresses: [] }
]

const NETWORKS = [
  { Name: 'lan', Driver: 'bridge' },
  { Name: 'none', Driver: 'null' },
  { Name: 'host', Driver: 'host' }
]

/** Plays the recording's frames over and over until it is stopped; then the statistics, and the end. */
class Played implements LiveCapture {
  readonly id: string
  readonly ended: Promise<CaptureSummary>
  private readonly request: CaptureRequest
  private isStopped = false
  private frames = 0
  private bytes = 0

  constructor(id: string, request: CaptureRequest, outlet: CaptureOutlet) {
    this.id = id
    this.request = request
    this.ended = this.play(outlet)
  }

  status(): CaptureStatus {
    const { targets = [], filter = '', format = 'pcapng', snapLength = 262_144 } = this.request
    const counts = { frames: this.frames, dropped: 7, bytes: this.bytes }
    return { id: this.id, targets, points: ['lan/web'], pointsLeftOut: 0, filter, format, snapLength, startedAt: '0', ...counts }
  }

  stop(): Promise<CaptureSummary> {
    this.isStopped = true
    return this.ended
  }

  private async play(outlet: CaptureOutlet): Promise<CaptureSummary> {
    const pieces = recording()
    const heads = pieces.filter(({ kind }) => kind === 'head')
    const frames = pieces.filter(({ kind }) => kind === 'frames')
    try {
      for (const { bytes } of heads) await outlet.write(bytes)
      for (let at = 0; !this.isStopped; at++) {
        const { bytes } = frames[at % frames.length]!
        await outlet.write(bytes)
        this.frames++
        this.bytes += bytes.length
        await new Promise((resolve) => setImmediate(resolve))
      }
      for (const { kind, bytes } of pieces) if (kind === 'rest') await outlet.write(bytes)
      outlet.close()
    } catch (error) {
      outlet.close(error as Error)
    }
    return { frames: this.frames, dropped: 7, bytes: this.bytes }
  }
}

export class FakeCaptures implements CaptureBackend {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'netloom-capture-'))
  readonly host = `unix://${this.folder}/d.sock`
  readonly requests: CaptureRequest[] = []
  /** What was asked of the links, and how they are set. */
  readonly linkRequests: LinkRequest[] = []
  readonly links = new Map<string, { in: string; out: string }>(
    ['lan/web', 'front/api', 'host1/eth0', 'office'].map((name) => [name, { in: '', out: '' }])
  )
  private readonly running = new Map<string, Played>()
  private readonly server: ApiServer

  constructor() {
    const router = new Router()
    captureRoutes(router, this)
    router.add('GET', '/networks', (_request, response) => response.json(200, NETWORKS))
    linkRoutes(router, { links: () => this.linkRows(), setLink: async (request) => this.setLink(request) })
    this.server = new ApiServer(router, Logger.silent())
  }

  start(): Promise<void> {
    return this.server.listen({ path: path.join(this.folder, 'd.sock') })
  }

  async end(): Promise<void> {
    await this.server.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** The daemon goes. */
  cut(): Promise<void> {
    return this.server.close()
  }

  captures(): CaptureStatus[] {
    return Array.from(this.running.values(), (capture) => capture.status())
  }

  capturePoints(): CapturePointRow[] {
    return [...POINTS]
  }

  async openCapture(request: CaptureRequest, outlet: CaptureOutlet): Promise<LiveCapture> {
    for (const target of request.targets ?? []) {
      if (target === 'nobody') throw new NetworkError('not-found', `nothing that can be captured is called ${target}`)
    }
    if (request.filter?.startsWith('bad')) throw new NetworkError('invalid', `filter '${request.filter}': syntax error`)
    this.requests.push(request)
    const capture = new Played(`c${this.requests.length}`, request, outlet)
    this.running.set(capture.id, capture)
    void capture.ended.then(() => this.running.delete(capture.id))
    return capture
  }

  stopCapture(id: string): Promise<CaptureSummary> {
    const capture = this.running.get(id)
    if (capture === undefined) throw new NetworkError('not-found', `no capture ${id} runs`)
    return capture.stop()
  }

  private linkRows(): LinkRow[] {
    return Array.from(this.links, ([name, { in: inward, out }]) => {
      const [network = '', endpoint = ''] = name.split('/')
      return { network, endpoint, in: inward, out, counters: {} }
    })
  }

  private setLink(request: LinkRequest): LinkRow[] {
    const link = this.links.get(request.target)
    if (link === undefined) throw new NetworkError('not-found', `no container, endpoint or network is called ${request.target}`)
    let words = ''
    try {
      words = linkWords(parseLinkWords(request.words))
    } catch (error) {
      throw new NetworkError('invalid', (error as Error).message)
    }
    this.linkRequests.push(request)
    if (request.direction !== 'in') link.out = words
    if (request.direction !== 'out') link.in = words
    return this.linkRows()
  }
}

import type { Duplex, Readable, Writable } from 'node:stream'
import { ApiError } from '../../api/api-error.ts'
import type {
  AttachOptions,
  ContainerBackend,
  ExecBackend,
  ListOptions,
  LogsOptions,
  PathStat,
  TerminalDimensions,
  WaitCondition,
  WaitResult
} from '../../api/container-backend.ts'
import type { ContainerInspect, ContainerSummary, CreateResponse, ExecInspect } from '../../api/container-json.ts'
import type { CreateBody, execBody, updateBody } from '../../api/container-shapes.ts'
import type { Decoded } from '../../api/decode.ts'
import type { Filters } from '../../api/filters.ts'
import type { EndpointConfig } from '../../api/network-json.ts'
import type { ImageUser } from '../../image/image-removal.ts'
import type { Container } from './container.ts'
import { archiveGet, archivePut, archiveStat, exportRoot, fileChanges } from './container-archive.ts'
import { ContainerContext, type ContainerServiceOptions } from './container-context.ts'
import { ContainerOutput } from './container-output.ts'
import { ContainerRecords, type RemoveOptions } from './container-records.ts'
import { ContainerRestore } from './container-restore.ts'
import { ContainerRunner } from './container-runner.ts'
import { containerStats } from './container-stats.ts'
import { containerTop } from './container-top.ts'
import { ExecService } from './exec-service.ts'
import { HealthMonitor } from './health-monitor.ts'
import { signalNumber } from './signals.ts'

export type { ContainerServiceOptions } from './container-context.ts'

/** Docker's containers: what the API asks for, handed to the part that does it. */
export class ContainerService implements ContainerBackend, ExecBackend {
  private readonly context: ContainerContext
  private readonly runner: ContainerRunner
  private readonly records: ContainerRecords
  private readonly output: ContainerOutput
  private readonly execs: ExecService
  private readonly restoring: ContainerRestore

  constructor(options: ContainerServiceOptions) {
    this.context = new ContainerContext(options)
    const health = new HealthMonitor(this.context)
    this.runner = new ContainerRunner(this.context, health)
    this.records = new ContainerRecords(this.context, this.runner)
    this.output = new ContainerOutput(this.context)
    this.execs = new ExecService(this.context)
    this.restoring = new ContainerRestore(this.context, this.runner)
    health.runProbe = (container, argv, ms) => this.execs.probe(container, argv, ms)
    options.images.usedBy = (imageId) => this.usersOf(imageId)
  }

  /** Fills the registry from the store; first of all, so that networks know whose endpoints there are. */
  load(): void {
    this.restoring.load()
  }

  /** At daemon start, after networks: reconnects, ends, undoes and applies restart policies. */
  restore(): Promise<void> {
    // Only now is it known which images are needed.
    return this.restoring.restore().then(() => this.context.options.images.sweep())
  }

  /** At daemon end: stops containers as Docker does on SIGTERM, or leaves them to the next daemon. */
  shutdown({ stopContainers }: { stopContainers: boolean }): Promise<void> {
    return this.runner.shutdown(this.context.options.registry.all(), stopContainers)
  }

  /** For `/info`. */
  counts(): { running: number; paused: number; stopped: number } {
    const counts = { running: 0, paused: 0, stopped: 0 }
    for (const { state } of this.context.options.registry.all()) {
      counts[state.Paused ? 'paused' : state.Running ? 'running' : 'stopped']++
    }
    return counts
  }

  create(name: string, request: CreateBody, platform = ''): Promise<CreateResponse> {
    return this.records.create(name, request, platform)
  }

  start(reference: string): Promise<boolean> {
    return this.runner.start(this.find(reference))
  }

  async stop(reference: string, seconds: number | undefined, signal = ''): Promise<boolean> {
    const stopSignal = givenSignal(signal)
    const container = this.find(reference)
    if (!container.state.Running) return false
    await prefixed(`cannot stop container: ${reference}`, this.runner.stop(container, seconds, stopSignal))
    return true
  }

  async restart(reference: string, seconds: number | undefined, signal = ''): Promise<void> {
    const stopSignal = givenSignal(signal)
    const container = this.find(reference)
    container.keepAtExit = true
    try {
      await prefixed(`Cannot restart container ${reference}`, this.stopAndStart(container, seconds, stopSignal))
    } finally {
      container.keepAtExit = false
    }
    this.context.publish(container, 'restart')
  }

  async kill(reference: string, signal: string): Promise<void> {
    await prefixed(`Cannot kill container: ${reference}`, this.killNow(reference, signal))
  }

  async pause(reference: string): Promise<void> {
    await this.runner.pause(this.find(reference))
  }

  async unpause(reference: string): Promise<void> {
    await this.runner.unpause(this.find(reference))
  }

  wait(reference: string, condition: WaitCondition, gone: AbortSignal): Promise<WaitResult> {
    return this.runner.wait(this.find(reference), condition, gone)
  }

  async rename(reference: string, name: string): Promise<void> {
    await this.records.rename(reference, name)
  }

  remove(reference: string, options: RemoveOptions): Promise<void> {
    return this.records.remove(reference, options)
  }

  list(options: ListOptions): Promise<ContainerSummary[]> {
    return this.records.list(options)
  }

  inspect(reference: string, size: boolean): Promise<ContainerInspect> {
    return this.records.inspect(reference, size)
  }

  async update(reference: string, change: Decoded<typeof updateBody>): Promise<{ Warnings: string[] }> {
    return this.records.update(reference, change)
  }

  prune(filters: Filters): Promise<{ ContainersDeleted: string[] | null; SpaceReclaimed: number }> {
    return this.records.prune(filters)
  }

  /** Puts a container on a network. */
  async connect(network: string, reference: string, config: EndpointConfig | null): Promise<void> {
    const container = this.find(reference)
    await container.exclusive(() => this.context.options.networking.connect(container, network, config))
  }

  /** Takes a container off a network. */
  async disconnect(network: string, reference: string, force: boolean): Promise<void> {
    const container = this.findEndpoint(reference, force)
    await container.exclusive(() => this.context.options.networking.disconnect(container, network, force))
  }

  isTerminal(reference: string): boolean {
    return this.find(reference).config.Tty
  }

  async logs(reference: string, options: LogsOptions, gone: AbortSignal): Promise<(to: Writable) => Promise<void>> {
    return this.output.logs(this.find(reference), options, gone)
  }

  async attach(reference: string, options: AttachOptions): Promise<(connection: Duplex) => Promise<void>> {
    return this.output.attach(this.find(reference), options)
  }

  async resize(reference: string, { columns, rows }: TerminalDimensions): Promise<void> {
    const container = this.find(reference)
    this.runner.checkRunning(container)
    if (container.config.Tty) await container.process?.resize({ columns, rows })
    this.context.publish(container, 'resize', { height: String(rows), width: String(columns) })
  }

  async top(reference: string, psArgs: string): Promise<{ Titles: string[]; Processes: string[][] }> {
    const container = this.find(reference)
    this.runner.checkRunning(container)
    if (container.state.Restarting) throw ApiError.conflict(`Container ${container.id} is restarting, wait until the container is running`)
    const list = await containerTop(container, psArgs)
    this.context.publish(container, 'top')
    return list
  }

  stats(reference: string, options: { stream: boolean; oneShot: boolean; gone: AbortSignal }): AsyncIterable<unknown> {
    return containerStats(this.find(reference), this.context, options)
  }

  changes(reference: string): Promise<{ Path: string; Kind: number }[]> {
    return fileChanges(this.find(reference))
  }

  async exportRoot(reference: string): Promise<(to: Writable) => Promise<void>> {
    const container = this.find(reference)
    this.context.publish(container, 'export')
    return (to) => exportRoot(container, to)
  }

  async archiveStat(reference: string, path: string): Promise<PathStat> {
    return archiveStat(this.find(reference), reference, path)
  }

  async archiveGet(reference: string, path: string): Promise<{ stat: PathStat; send: (to: Writable) => Promise<void> }> {
    const container = this.find(reference)
    const archive = await archiveGet(container, reference, path)
    this.context.publish(container, 'archive-path')
    return archive
  }

  async archivePut(reference: string, path: string, tar: Readable, keepKinds: boolean): Promise<void> {
    const container = this.find(reference)
    await archivePut(container, reference, path, tar, keepKinds)
    this.context.publish(container, 'extract-to-dir')
  }

  async execCreate(reference: string, config: Decoded<typeof execBody>): Promise<{ Id: string }> {
    return this.execs.create(reference, config)
  }

  execStart(
    id: string,
    options: { detach: boolean; tty: boolean; size: TerminalDimensions | null }
  ): Promise<((connection: Duplex) => Promise<void>) | null> {
    return this.execs.start(id, options)
  }

  execInspect(id: string): ExecInspect {
    return this.execs.inspect(id)
  }

  execResize(id: string, size: TerminalDimensions): Promise<void> {
    return this.execs.resize(id, size)
  }

  private find(reference: string): Container {
    return this.context.options.registry.find(reference)
  }

  /** By force, a name is that of an endpoint, whose container may be gone. */
  private findEndpoint(reference: string, force: boolean): Container {
    try {
      return this.find(reference)
    } catch (error) {
      throw force ? ApiError.notFound(`endpoint ${reference} not found`) : error
    }
  }

  private *usersOf(imageId: string): Iterable<ImageUser> {
    for (const { id, image, state } of this.context.options.registry.all()) {
      if (image.id === imageId) yield { id, running: state.Running }
    }
  }

  private async killNow(reference: string, signal: string): Promise<void> {
    await this.runner.kill(this.find(reference), signal)
  }

  private async stopAndStart(container: Container, seconds: number | undefined, signal: number | undefined): Promise<void> {
    if (container.state.Running) await this.runner.stop(container, seconds, signal)
    await this.runner.start(container)
  }
}

/** Read before anything else, as Docker does: a wrong one is told also for a container that does not run. Throws ApiError. */
function givenSignal(text: string): number | undefined {
  return text === '' ? undefined : signalNumber(text)
}

/** Errors say what was tried. Those that Docker gives as they are, of wrong signals, are 400. */
async function prefixed<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    const { status = 500, message } = error as ApiError
    if (status === 400 && message.startsWith('Invalid signal')) throw error
    throw new ApiError(status, `${what}: ${message}`, { cause: error })
  }
}

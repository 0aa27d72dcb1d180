/**
 * What a daemon that comes up makes of what an earlier one left. Everything is found from the records and from two directories whose
 * file names follow from ids, so that no moment of a kill leaves anything that is not found:
 *
 *   record          shim              ->
 *   running         runs              taken over, or with live-restore off ended
 *   running         gone, or ended    exited with the status that the shim wrote, 137 without one; restart policy
 *   not running     runs              a start or stop that was never acknowledged: ended
 *   none            -                 directory of a removed container: removed
 */
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { Sandbox } from '../../sandbox/sandbox.ts'
import type { SurvivingMode } from '../../sandbox/sandbox-options.ts'
import type { SandboxProcess } from '../../sandbox/sandbox-process.ts'
import { Container, type ContainerRecord } from './container.ts'
import type { ContainerContext } from './container-context.ts'
import type { ContainerRunner } from './container-runner.ts'
import { formatTime, NEVER } from './container-status.ts'
import { endShim, endShims } from './end-shims.ts'
import { exitCodeOf, LOST } from './exit-code.ts'
import { land, MAIN_PROCESS } from './launch.ts'
import { shouldRestart } from './restart-policy.ts'

/** How many containers are looked after at once. */
const AT_ONCE = 16

const SHORT_ID = 12

export class ContainerRestore {
  private readonly context: ContainerContext
  private readonly runner: ContainerRunner

  constructor(context: ContainerContext, runner: ContainerRunner) {
    this.context = context
    this.runner = runner
  }

  /** Containers from their records, nothing touched. */
  load(): void {
    const { store, registry, directory, volumesDirectory, runDirectory } = this.context.options
    for (const path of [directory, volumesDirectory, runDirectory]) mkdirSync(path, { recursive: true, mode: 0o711 })
    for (const [, record] of store.list<ContainerRecord>('container/')) {
      registry.reserve(record.name, record.id)
      registry.add(new Container(record, this.context.directoryOf(record.id), store))
    }
  }

  /** After networks are there again. What fails for one container is logged, and the others go on. */
  async restore(): Promise<void> {
    const containers = [...this.context.options.registry.all()]
    await this.sweep()
    await inParallel(containers, (container) => container.exclusive(() => this.restoreOne(container)))
    const due = containers.filter((container) => this.isDue(container))
    await inParallel(due, (container) => container.exclusive(() => this.runner.startByPolicy(container)))
  }

  /** Directories of containers and sockets of shims that belong to no container. */
  private async sweep(): Promise<void> {
    const { directory, runDirectory, registry, log } = this.context.options
    for (const name of await readdir(directory)) {
      if (registry.get(name) !== undefined) continue
      await rm(`${directory}/${name}`, { recursive: true, force: true }).catch((error: Error) => log(`${name} is left: ${error.message}`))
    }
    const known = new Set(Array.from(registry.all(), ({ id }) => id.slice(0, SHORT_ID)))
    await endShims(runDirectory, directory, known)
  }

  private async restoreOne(container: Container): Promise<void> {
    const { state, id, directory, hostConfig } = container
    const { log, liveRestore } = this.context.options
    const mode = { surviving: this.context.socketOf(id), stateDir: directory }
    try {
      const isExpected = state.Running && !state.Restarting
      if (isExpected && liveRestore && (await this.takeOver(container, mode))) return
      if (existsSync(mode.surviving)) await endShim(container.name, mode)
      if (isExpected) await this.recordExit(container)
      else if (state.Restarting) state.Running = false
      if (hostConfig.AutoRemove && state.Status !== 'created') await this.runner.remove(container)
    } catch (error) {
      log(`container ${container.name} is not restored: ${(error as Error).stack ?? (error as Error).message}`)
    }
  }

  /** Reconnects to a running container. False when it does not run any more. */
  private async takeOver(container: Container, mode: SurvivingMode): Promise<boolean> {
    if (!existsSync(mode.surviving)) return false
    const sandbox = await Sandbox.reconnect(container.name, mode).catch(() => null)
    if (sandbox === null) return false
    container.sandbox = sandbox
    const process = await sandbox.process(MAIN_PROCESS).catch(() => null)
    if (process === null || process.exitStatus !== null) return false
    try {
      await this.context.options.networking.restore(container)
    } catch (error) {
      this.context.options.log(`networks of ${container.name} are not restored, it is ended: ${(error as Error).message}`)
      return false
    }
    await this.showRunning(container, process, sandbox.foundPaused)
    this.runner.adopt(container, process)
    return true
  }

  private async showRunning(container: Container, { pid }: SandboxProcess, isPaused: boolean): Promise<void> {
    const { state } = container
    if (state.Pid === pid && state.Paused === isPaused) return
    Object.assign(state, { Pid: pid, Paused: isPaused, Status: isPaused ? 'paused' : 'running' })
    await container.save()
  }

  /** It ended while no daemon was there, or this one ended it. */
  private async recordExit(container: Container): Promise<void> {
    const { state, directory } = container
    const { exitCode, time } = recordedExit(`${directory}/status`) ?? { exitCode: LOST, time: this.context.now() }
    Object.assign(state, { Status: 'exited', Running: false, Paused: false, Restarting: false, Pid: 0, ExitCode: exitCode })
    state.FinishedAt = formatTime(time)
    await land(container, this.context)
    await container.save()
    this.context.publish(container, 'die', { exitCode: String(exitCode) })
  }

  private isDue(container: Container): boolean {
    const { state, hostConfig, manuallyStopped, restartCount, isBeingRemoved } = container
    if (isBeingRemoved || (state.Running && !state.Restarting) || state.StartedAt === NEVER) return false
    return state.Restarting || shouldRestart(hostConfig.RestartPolicy, { exitCode: state.ExitCode, manuallyStopped, restartCount }, true)
  }
}

/** The main process's line in the shim's file of statuses, and when it was written (ns since 1970). null: none. */
function recordedExit(file: string): { exitCode: number; time: bigint } | null {
  try {
    const match = new RegExp(`^${MAIN_PROCESS} (code|signal)=(\\d+)$`, 'm').exec(readFileSync(file, 'utf8'))
    if (match === null) return null
    const status =
      match[1] === 'code' ? { code: Number(match[2]), signal: null } : { code: null, signal: `SIG${match[2]}` as NodeJS.Signals }
    return { exitCode: exitCodeOf(status), time: statSync(file, { bigint: true }).mtimeNs }
  } catch {
    return null
  }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items]
  const worker = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

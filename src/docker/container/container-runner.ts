import { ApiError } from '../../api/api-error.ts'
import type { WaitCondition, WaitResult } from '../../api/container-backend.ts'
import type { SandboxError } from '../../sandbox/sandbox-error.ts'
import type { ExitStatus, SandboxProcess } from '../../sandbox/sandbox-process.ts'
import type { Container } from './container.ts'
import type { ContainerContext } from './container-context.ts'
import { formatTime, parseTime } from './container-status.ts'
import { exitCodeOf } from './exit-code.ts'
import type { HealthMonitor } from './health-monitor.ts'
import { land, launch } from './launch.ts'
import { shouldRestart } from './restart-policy.ts'
import { signalNumber } from './signals.ts'

const SIGTERM = 15
const SIGKILL = 9
const DEFAULT_STOP_SECONDS = 10

/** Docker's exit status of a container that could not be started, when nothing better is known. */
const NOT_STARTED = 128

/**
 * The life of containers from start to exit. A process's end is handled whatever caused it in one place, `handleExit`; `stop` and
 * `kill` send signals and wait for that.
 */
export class ContainerRunner {
  /** Removes a container that asked for it; set by who can. Called with the container's lock held. */
  remove: (container: Container) => Promise<void> = async () => {}
  private readonly context: ContainerContext
  private readonly health: HealthMonitor
  private isShuttingDown = false

  constructor(context: ContainerContext, health: HealthMonitor) {
    this.context = context
    this.health = health
  }

  /** False: it runs. Throws ApiError. */
  start(container: Container): Promise<boolean> {
    return container.exclusive(async () => {
      const { state } = container
      if (state.Paused) throw ApiError.conflict('cannot start a paused container, try unpause instead')
      if (state.Running) return false
      if (container.isBeingRemoved || state.Dead) throw ApiError.conflict('container is marked for removal and cannot be started')
      container.restartDelay.reset()
      container.restartCount = 0
      await this.run(container)
      return true
    })
  }

  /** Sends `signal`, by default the container's stop signal, then SIGKILL when that does not end it in time. */
  async stop(
    container: Container,
    seconds = container.config.StopTimeout ?? DEFAULT_STOP_SECONDS,
    signal = this.stopSignalOf(container)
  ): Promise<void> {
    if (!(await this.endRestarting(container))) {
      const stopped = this.untilStopped(container)
      await this.signal(container, signal, true)
      if (!(await this.within(stopped, seconds))) {
        if (container.state.Running) await this.signal(container, SIGKILL)
        await stopped
      }
    }
    this.context.publish(container, 'stop')
  }

  /** Throws ApiError 409 when it does not run. `text` empty: SIGKILL, whose effect is waited for. */
  async kill(container: Container, text: string): Promise<void> {
    const number = text === '' ? SIGKILL : signalNumber(text)
    this.checkRunning(container)
    if (await this.endRestarting(container)) return
    const stopped = this.untilStopped(container)
    await this.signal(container, number)
    if (number === SIGKILL) await stopped
  }

  pause(container: Container): Promise<void> {
    return container.exclusive(async () => {
      this.checkRunning(container)
      const { state } = container
      if (state.Paused) throw ApiError.conflict(`Container ${container.id} is already paused`)
      if (state.Restarting) throw restarting(container.id)
      await container.sandbox!.pause()
      state.Paused = true
      state.Status = 'paused'
      this.health.stop(container)
      this.context.publish(container, 'pause')
      // What cannot be recorded is not so: a failed pause leaves it running.
      await container.save().catch(async (error) => {
        await this.wake(container)
        throw error
      })
    })
  }

  unpause(container: Container): Promise<void> {
    return container.exclusive(async () => {
      if (!container.state.Paused) throw ApiError.internal(`Container ${container.id} is not paused`)
      await this.wake(container)
      await container.save()
    })
  }

  /** Checks and begins to wait at once; the promise brings the exit status. */
  wait(container: Container, condition: WaitCondition, gone: AbortSignal): Promise<WaitResult> {
    const result = (): WaitResult => ({ Error: null, StatusCode: container.state.ExitCode })
    if (condition === 'not-running' && !container.state.Running) return Promise.resolve(result())
    const moment = condition === 'not-running' ? 'stopped' : condition === 'next-exit' ? 'ended' : 'removed'
    return container.moments.next(moment, gone).then(result)
  }

  /** A container found running after the daemon came back: its end is awaited as if we had started it. */
  adopt(container: Container, process: SandboxProcess): void {
    container.process = process
    this.watch(container, process)
    this.health.start(container)
  }

  /** Starts it by its restart policy, at once, with the lock held. For daemon start; an error is logged and recorded. */
  async startByPolicy(container: Container): Promise<void> {
    try {
      await this.run(container)
    } catch (error) {
      this.context.options.log(`container ${container.name} did not start: ${(error as Error).message}`)
    }
  }

  /** No restarts from now on. */
  async shutdown(containers: Iterable<Container>, stopThem: boolean): Promise<void> {
    this.isShuttingDown = true
    const work: Promise<void>[] = []
    for (const container of containers) {
      container.cancelRestart?.()
      this.health.stop(container)
      if (stopThem && container.state.Running) work.push(this.stop(container))
      else if (container.sandbox !== null) work.push(container.sandbox.disconnect())
    }
    await Promise.all(work)
  }

  checkRunning(container: Container): void {
    if (!container.state.Running) throw ApiError.conflict(`Container ${container.id} is not running`)
  }

  private async run(container: Container): Promise<void> {
    try {
      await launch(container, this.context)
      await this.recordStart(container)
    } catch (error) {
      await this.recordFailure(container, error as Error)
      throw error
    }
    this.watch(container, container.process!)
    this.context.publish(container, 'start')
    container.moments.reached('started')
  }

  /** A start that cannot be recorded is none: what was started is ended, as the next daemon would do, and the error is thrown. */
  private async recordStart(container: Container): Promise<void> {
    const { state } = container
    const before = { ...state }
    Object.assign(state, { Status: 'running', Running: true, Paused: false, Restarting: false, Dead: false, OOMKilled: false })
    state.Error = ''
    state.ExitCode = 0
    state.Pid = container.process!.pid
    state.StartedAt = formatTime(this.context.now())
    this.health.start(container)
    try {
      await container.save()
    } catch (error) {
      Object.assign(state, before)
      this.health.stop(container)
      await land(container, this.context)
      throw error
    }
  }

  /** Never fails: it is `error` that the caller has to hear of. */
  private async recordFailure(container: Container, error: Error): Promise<void> {
    const { state } = container
    Object.assign(state, { Running: false, Restarting: false, Paused: false, Pid: 0 })
    if (state.Status !== 'created') state.Status = 'exited'
    state.Error = error.message
    if (state.ExitCode === 0) state.ExitCode = startFailureCode(error.message)
    await this.saveEnd(container)
    container.moments.reached('ended')
    container.moments.reached('stopped')
    if (!container.hostConfig.AutoRemove || container.keepAtExit) return
    await this.remove(container).catch((left: Error) => this.context.options.log(`container ${container.name} is left: ${left.message}`))
  }

  private watch(container: Container, process: SandboxProcess): void {
    const ended = (status: ExitStatus | null): void => {
      if (status === null && this.isShuttingDown) return // we left it: it goes on without us
      container
        .exclusive(() => this.handleExit(container, process, exitCodeOf(status)))
        .catch((error: Error) => this.context.options.log(`container ${container.name}, after its exit: ${error.stack ?? error.message}`))
    }
    process.wait().then(ended, (_lost: SandboxError) => ended(null))
  }

  private async handleExit(container: Container, process: SandboxProcess, exitCode: number): Promise<void> {
    if (container.process !== process) return
    const { state } = container
    const now = this.context.now()
    state.FinishedAt = formatTime(now)
    state.ExitCode = exitCode
    state.Pid = 0
    state.Paused = false
    this.health.stop(container)
    this.context.publish(container, 'die', { exitCode: String(exitCode) })
    await land(container, this.context)
    const policy = container.hostConfig.RestartPolicy
    const { manuallyStopped, restartCount } = container
    if (!this.isShuttingDown && shouldRestart(policy, { exitCode, manuallyStopped, restartCount })) {
      return this.scheduleRestart(container, Number(now - parseTime(state.StartedAt)))
    }
    await this.settle(container)
  }

  /** It has ended for good. */
  private async settle(container: Container): Promise<void> {
    Object.assign(container.state, { Status: 'exited', Running: false, Restarting: false, Paused: false, Pid: 0 })
    const isLeaving = container.hostConfig.AutoRemove && !container.keepAtExit && !this.isShuttingDown
    // One that is removed in a moment needs no record of its end: the next daemon finds it ended, and removes it as well.
    if (!isLeaving) await this.saveEnd(container)
    container.moments.reached('ended')
    container.moments.reached('stopped')
    if (isLeaving) await this.remove(container)
  }

  /** It has ended, whether that can be recorded or not: who waits must hear of it. */
  private async saveEnd(container: Container): Promise<void> {
    await container
      .save()
      .catch((error: Error) => this.context.options.log(`the end of ${container.name} is not recorded: ${error.message}`))
  }

  private async scheduleRestart(container: Container, ranForNs: number): Promise<void> {
    Object.assign(container.state, { Status: 'restarting', Running: true, Restarting: true })
    container.restartCount++
    await this.saveEnd(container)
    container.moments.reached('ended')
    const restart = (): void => {
      container.cancelRestart = null
      void container.exclusive(async () => {
        if (container.state.Restarting && !container.isBeingRemoved && !this.isShuttingDown) await this.startByPolicy(container)
      })
    }
    const cancel = this.context.options.timers.after(container.restartDelay.next(ranForNs), restart)
    container.cancelRestart = () => {
      cancel()
      container.cancelRestart = null
    }
  }

  /** Ends a container that only waits for its restart. False: it does not. */
  private endRestarting(container: Container): Promise<boolean> {
    if (!container.state.Restarting) return Promise.resolve(false)
    return container.exclusive(async () => {
      if (!container.state.Restarting) return false
      container.cancelRestart?.()
      container.manuallyStopped = true
      await this.settle(container)
      return true
    })
  }

  /** `isStop`: it is to end by it, which a paused one cannot. */
  private async signal(
    container: Container,
    number: number,
    isStop = number === SIGKILL || number === this.stopSignalOf(container)
  ): Promise<void> {
    const { process, state } = container
    if (process === null) return
    // As in Docker, any signal sent by hand holds the restart policy back.
    if (!this.isShuttingDown) container.manuallyStopped = true
    await process.kill(number)
    if (state.Paused && isStop) await this.wake(container)
    this.context.publish(container, 'kill', { signal: String(number) })
  }

  private async wake(container: Container): Promise<void> {
    const { state, sandbox } = container
    await sandbox?.unpause().catch((error: SandboxError) => {
      if (error.code !== 'EALREADY' && error.code !== 'ERR_SANDBOX_CLOSED') throw error
    })
    if (!state.Running) return
    state.Paused = false
    state.Status = 'running'
    this.health.start(container)
    this.context.publish(container, 'unpause')
  }

  private stopSignalOf(container: Container): number {
    const { StopSignal } = container.config
    return StopSignal === undefined ? SIGTERM : signalNumber(StopSignal)
  }

  private untilStopped(container: Container): Promise<void> {
    return container.state.Running ? container.moments.next('stopped') : Promise.resolve()
  }

  /** Whether `event` comes in time. Negative: there is time for ever. */
  private within(event: Promise<void>, seconds: number): Promise<boolean> {
    if (seconds < 0) return event.then(() => true)
    if (seconds === 0) return Promise.resolve(false)
    return new Promise((resolve) => {
      const cancel = this.context.options.timers.after(seconds * 1000, () => resolve(false))
      void event.then(() => {
        cancel()
        resolve(true)
      })
    })
  }
}

export function restarting(id: string): ApiError {
  return ApiError.conflict(`Container ${id} is restarting, wait until the container is running`)
}

function startFailureCode(message: string): number {
  if (/executable file not found|no such file or directory/.test(message)) return 127
  if (/permission denied|is a directory/.test(message)) return 126
  return NOT_STARTED
}

import type { ContainerHealth, HealthConfig } from '../../api/container-json.ts'
import type { Container } from './container.ts'
import type { ContainerContext } from './container-context.ts'
import { formatTime, parseTime } from './container-status.ts'

/** Runs a command in a container and brings its exit status and output; -1 when it took longer than `ms`. */
export type ProbeRunner = (container: Container, argv: string[], ms: number) => Promise<{ exitCode: number; output: string }>

const DEFAULT_INTERVAL_NS = 30e9
const DEFAULT_TIMEOUT_NS = 30e9
const DEFAULT_RETRIES = 3
const KEPT_RESULTS = 5

/** `docker run --health-cmd`: one timer for each running container that asks for it. */
export class HealthMonitor {
  /** Set by who can run commands in containers. */
  runProbe: ProbeRunner = async () => ({ exitCode: -1, output: '' })
  private readonly context: ContainerContext
  private readonly timers = new Map<string, () => void>()

  constructor(context: ContainerContext) {
    this.context = context
  }

  start(container: Container): void {
    const { Healthcheck } = container.config
    if (Healthcheck === undefined || probeCommand(container, Healthcheck) === null) return
    container.state.Health ??= { Status: 'starting', FailingStreak: 0, Log: null }
    container.state.Health.Status = 'starting'
    container.state.Health.FailingStreak = 0
    this.schedule(container, Healthcheck)
  }

  stop(container: Container): void {
    this.timers.get(container.id)?.()
    this.timers.delete(container.id)
    const { Health, Running, Paused } = container.state
    if (Health !== undefined && !Running && !Paused && Health.Status !== 'unhealthy') Health.Status = 'unhealthy'
  }

  private schedule(container: Container, config: HealthConfig): void {
    this.timers.get(container.id)?.()
    const ms = (config.Interval || DEFAULT_INTERVAL_NS) / 1e6
    this.timers.set(
      container.id,
      this.context.options.timers.after(ms, () => void this.probe(container, config))
    )
  }

  private async probe(container: Container, config: HealthConfig): Promise<void> {
    const run = container.process
    const start = this.context.now()
    const argv = probeCommand(container, config)!
    const ms = (config.Timeout || DEFAULT_TIMEOUT_NS) / 1e6
    const result = await this.runProbe(container, argv, ms).catch((error: Error) => ({ exitCode: -1, output: error.message }))
    // It was stopped or paused meanwhile, maybe started again with a monitor of its own.
    if (container.process !== run || !this.timers.has(container.id)) return
    const health = container.state.Health!
    const entry = { Start: formatTime(start), End: formatTime(this.context.now()), ExitCode: result.exitCode, Output: result.output }
    health.Log = [...(health.Log ?? []), entry].slice(-KEPT_RESULTS)
    const isGrace = start - parseTime(container.state.StartedAt) < BigInt(config.StartPeriod ?? 0) && health.Status === 'starting'
    this.judge(container, health, result.exitCode === 0, isGrace, config.Retries || DEFAULT_RETRIES)
    this.schedule(container, config)
  }

  private judge(container: Container, health: ContainerHealth, isWell: boolean, isGrace: boolean, retries: number): void {
    const before = health.Status
    if (isWell) {
      health.FailingStreak = 0
      health.Status = 'healthy'
    } else if (!isGrace) {
      health.FailingStreak++
      if (health.FailingStreak >= retries) health.Status = 'unhealthy'
    }
    if (health.Status === before) return
    this.context.publish(container, `health_status: ${health.Status}`)
    container.save().catch((error: Error) => this.context.options.log(`health of ${container.name} is not recorded: ${error.message}`))
  }
}

/** The command of a health check; null: none. */
function probeCommand(container: Container, { Test }: HealthConfig): string[] | null {
  const [kind, ...words] = Test ?? []
  if (kind === 'CMD' && words.length > 0) return words
  if (kind === 'CMD-SHELL' && words.length > 0) return [...(container.config.Shell ?? ['/bin/sh', '-c']), words[0]!]
  return null
}

/** Container states and times in the words of `docker ps`. */
import type { ContainerState } from '../../api/container-json.ts'

/** Go's zero time: never. */
export const NEVER = '0001-01-01T00:00:00Z'

/** RFC 3339 with nanoseconds and without trailing zeros, as Go prints it. `time`: ns since 1970. */
export function formatTime(time: bigint): string {
  const seconds = time / 1_000_000_000n
  const fraction = (time % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '')
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19)
  return `${whole}${fraction === '' ? '' : `.${fraction}`}Z`
}

/** ns since 1970 of what formatTime wrote; 0 for NEVER. */
export function parseTime(text: string): bigint {
  if (text === NEVER) return 0n
  const match = /^(.{19})(?:\.(\d{1,9}))?Z$/.exec(text)
  if (match === null) return 0n
  return BigInt(Date.parse(`${match[1]}Z`)) * 1_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'))
}

export function newState(): ContainerState {
  return {
    Status: 'created',
    Running: false,
    Paused: false,
    Restarting: false,
    OOMKilled: false,
    Dead: false,
    Pid: 0,
    ExitCode: 0,
    Error: '',
    StartedAt: NEVER,
    FinishedAt: NEVER
  }
}

/** 'Up 3 minutes (Paused)', 'Exited (0) 2 hours ago'... `now`: ns since 1970. */
export function statusText(state: ContainerState, now: bigint): string {
  const since = (text: string): string => humanDuration(now - parseTime(text))
  if (state.Restarting) return `Restarting (${state.ExitCode}) ${since(state.FinishedAt)} ago`
  if (state.Running) {
    const up = `Up ${since(state.StartedAt)}`
    if (state.Paused) return `${up} (Paused)`
    const health = state.Health?.Status
    if (health === undefined || health === 'none') return up
    return `${up} (${health === 'starting' ? 'health: starting' : health})`
  }
  if (state.Status === 'removing') return 'Removal In Progress'
  if (state.Dead) return 'Dead'
  if (state.StartedAt === NEVER) return 'Created'
  if (state.FinishedAt === NEVER) return ''
  return `Exited (${state.ExitCode}) ${since(state.FinishedAt)} ago`
}

const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** As docker/go-units' HumanDuration. `duration` in ns. */
export function humanDuration(duration: bigint): string {
  const seconds = Number(duration / 1_000_000_000n)
  if (seconds < 1) return 'Less than a second'
  if (seconds === 1) return '1 second'
  if (seconds < MINUTE) return `${seconds} seconds`
  const minutes = Math.floor(seconds / MINUTE)
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${minutes} minutes`
  const hours = Math.floor(seconds / HOUR + 0.5)
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${hours} hours`
  const days = Math.floor(hours / 24)
  if (hours < 24 * 7 * 2) return `${days} days`
  if (hours < 24 * 30 * 2) return `${Math.floor(days / 7)} weeks`
  if (hours < 24 * 365 * 2) return `${Math.floor(days / 30)} months`
  return `${Math.floor(seconds / DAY / 365)} years`
}

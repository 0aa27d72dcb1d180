/**
 * Processes of a benchmark. None outlives it: each carries a parent-death signal (setpriv) for the case that the benchmark is
 * killed, and is marked in its environment so that a test can look for what was left.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

/** In the environment of every process that the benchmark with this PID has started. */
export const MARK = 'NETLOOM_BENCH'

/** Output that is kept of a process, bytes: enough for an error's cause. */
const KEPT_OUTPUT = 4 << 20

export class BenchError extends Error {
  readonly code = 'ERR_BENCH'
}

export function installed(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`], { env: pathEnvironment() }).status === 0
}

/** Daemons such as ovs-vswitchd stand in sbin, which an ordinary PATH may lack. */
function pathEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C', [MARK]: String(process.pid) }
}

export class BenchProcess {
  readonly child: ChildProcess
  readonly command: string
  stdout = ''
  stderr = ''
  private readonly ended: Promise<void>

  constructor(argv: readonly string[]) {
    this.command = argv.join(' ')
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', ...argv], { stdio: ['pipe', 'pipe', 'pipe'], env: pathEnvironment() })
    this.child.stdin!.on('error', () => {}) // it has ended: its status tells
    this.child.stdout!.on('data', (data) => {
      if (this.stdout.length < KEPT_OUTPUT) this.stdout += data
    })
    this.child.stderr!.on('data', (data) => {
      if (this.stderr.length < KEPT_OUTPUT) this.stderr += data
    })
    this.ended = once(this.child, 'close').then(() => {})
  }

  /** setpriv and nsenter replace themselves, so this is the command's own. */
  get pid(): number {
    return this.child.pid!
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** Waits until `check` holds; throws when the process ends before or `seconds` have passed. */
  async until(what: string, check: () => boolean | Promise<boolean>, seconds = 60): Promise<void> {
    for (let waited = 0; !(await check()); waited += 10) {
      if (!this.running) throw new BenchError(`${this.command} ended before ${what}: ${this.complaint}`)
      if (waited > seconds * 1000) throw new BenchError(`${this.command}: no ${what} within ${seconds} s: ${this.complaint}`)
      await sleep(10)
    }
  }

  /** Its end, with what it wrote; killed after `seconds`. Throws unless it exits with 0. */
  async finish(seconds: number): Promise<string> {
    const timer = new AbortController()
    const late = sleep(seconds * 1000, 'late', { signal: timer.signal }).catch(() => '')
    if ((await Promise.race([this.ended, late])) === 'late') {
      await this.stop('SIGKILL')
      throw new BenchError(`${this.command}: not done within ${seconds} s`)
    }
    timer.abort()
    if (this.child.exitCode !== 0) throw new BenchError(`${this.command}: exit ${this.child.exitCode}: ${this.complaint}`)
    return this.stdout
  }

  /** Ends it: asked first, killed after two seconds. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.running) this.child.kill(signal)
    const kill = new AbortController()
    sleep(2000, null, { signal: kill.signal })
      .then(() => this.child.kill('SIGKILL'))
      .catch(() => {})
    await this.ended
    kill.abort()
  }

  private get complaint(): string {
    return (this.stderr.trim() || this.stdout.trim()).split('\n').slice(-3).join(' | ')
  }
}

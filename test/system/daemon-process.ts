// `netloom daemon` as a process of its own, in a network namespace of its own.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { request } from 'node:http'
import path from 'node:path'
import type { TestNamespace } from './test-namespace.ts'

const NETLOOM = path.resolve(import.meta.dirname, '../../../bin/netloom.js')

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export class DaemonProcess {
  readonly ended: Promise<Ended>
  stdout = ''
  stderr = ''
  isEnded = false
  private readonly child: ChildProcess
  private readonly wake = new Set<() => void>()

  /** `launcher`: a command that becomes the daemon, after it has changed what it runs as. */
  constructor(
    namespace: TestNamespace,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    launcher: readonly string[] = []
  ) {
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']
    const command = [`--net=${namespace.path}`, ...launcher, process.execPath, NETLOOM, 'daemon', ...args]
    this.child = spawn('nsenter', command, { stdio, env: { ...process.env, ...env } })
    const hear = (name: 'stdout' | 'stderr') => (text: string) => {
      this[name] += text
      this.tell()
    }
    this.child.stdout!.setEncoding('utf8').on('data', hear('stdout'))
    this.child.stderr!.setEncoding('utf8').on('data', hear('stderr'))
    this.ended = new Promise((resolve) => {
      this.child.on('close', (code, signal) => {
        this.isEnded = true
        this.tell()
        resolve({ code, signal })
      })
    })
  }

  /** nsenter has become the daemon. */
  get pid(): number {
    return this.child.pid!
  }

  /** Rejects with the log when it ends before. */
  ready(): Promise<void> {
    return this.until(() => this.stdout.includes('listening on'))
  }

  logged(pattern: RegExp): Promise<void> {
    return this.until(() => pattern.test(this.stderr))
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }

  /** SIGTERM, and its end. */
  stop(): Promise<Ended> {
    this.signal('SIGTERM')
    return this.ended
  }

  private async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      if (this.isEnded) throw new Error(`the daemon ended:\n${this.stdout}${this.stderr}`)
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.wake.delete(wake)
          resolve()
        }
        this.wake.add(wake)
      })
    }
  }

  private tell(): void {
    for (const wake of this.wake) wake()
  }
}

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

/** One request over a connection of its own. */
export function ask(socketPath: string, method: string, target: string, body?: unknown): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'Content-Type': 'application/json' }
    const sent = request({ socketPath, method, path: target, headers, agent: false }, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      answer.on('end', () => resolve({ status: answer.statusCode!, body: text }))
      answer.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

/** The docker client on a daemon; throws with its output when it fails. The limit only ends one that hangs. */
export function docker(socketPath: string, ...args: string[]): string {
  const result = spawnSync('docker', ['-H', `unix://${socketPath}`, ...args], { encoding: 'utf8', timeout: 240_000 })
  if (result.status !== 0) throw new Error(`docker ${args.join(' ')}: ${result.status}\n${result.stdout}${result.stderr}`)
  return result.stdout.trim()
}

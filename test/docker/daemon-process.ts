// A daemon of our own in a process and a network namespace of its own, driven by the real docker client.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { namespacesMissing } from '../system/test-namespace.ts'

/** The checkout: this file runs as dist/test/docker/daemon-process.js. */
const ROOT = path.resolve(import.meta.dirname, '../../..')

/** Why no such daemon can run here; false when one can. */
export function daemonMissing(...tools: string[]): string | false {
  return namespacesMissing('docker', 'unshare', ...tools)
}

export interface Finished {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export class DaemonProcess {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-daemon-'))
  readonly socket = path.join(this.folder, 'd.sock')
  readonly state = path.join(this.folder, 'state')
  /** For the next start, over this process's own. */
  environment: Record<string, string> = {}
  private child: ChildProcess | null = null
  private output = ''

  /** Resolves when it listens. */
  async start(...flags: string[]): Promise<void> {
    const daemon = [
      process.execPath,
      path.join(ROOT, 'bin/netloom.js'),
      'daemon',
      '--host',
      `unix://${this.socket}`,
      '--state-dir',
      this.state
    ]
    const child = spawn('unshare', ['--net', ...daemon, ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.environment }
    })
    this.child = child
    this.output = ''
    const listening = new Promise<void>((resolve, reject) => {
      const take = (text: string): void => {
        this.output += text
        if (this.output.includes('daemon listening')) resolve()
      }
      child.stdout!.setEncoding('utf8').on('data', take)
      child.stderr!.setEncoding('utf8').on('data', take)
      child.on('exit', (code, signal) => reject(new Error(`the daemon ended with ${code ?? signal}:\n${this.output}`)))
    })
    await listening
  }

  /** What it wrote since it was started. */
  get log(): string {
    return this.output
  }

  /** The running daemon's; unshare has become the daemon. */
  get pid(): number {
    return this.child!.pid!
  }

  /** What ended the daemon of the last start, when that was not `end`. */
  get endSignal(): string | null {
    return this.child?.signalCode ?? null
  }

  /** Ends it and waits until it is gone: SIGKILL as a crash, SIGTERM as an administrator. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { child } = this
    this.child = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    child.removeAllListeners('exit')
    child.kill(signal)
    await once(child, 'exit')
  }

  /** Ends everything, containers included, whatever state it is in. */
  async down(): Promise<void> {
    try {
      if (this.child === null && existsSync(this.state)) await this.start()
      const ids = (await this.docker('ps', '-aq')).stdout.split('\n').filter((id) => id !== '')
      if (ids.length > 0) await this.docker('rm', '-fv', ...ids)
    } finally {
      await this.end('SIGTERM')
      rmSync(this.folder, { recursive: true, force: true })
    }
  }

  /** Runs a docker command to its end. */
  docker(...args: string[]): Promise<Finished> {
    return this.dockerWith('', ...args)
  }

  /** The same, with something to read. */
  async dockerWith(input: string, ...args: string[]): Promise<Finished> {
    const env = { ...process.env, DOCKER_HOST: `unix://${this.socket}` }
    const child = spawn('docker', args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.stdin.on('error', () => {}) // it may end without reading
    child.stdin.end(input)
    const [status, signal] = (await once(child, 'close')) as [number | null, string | null]
    return { status: status ?? -1, stdout, stderr: signal === null ? stderr : `${stderr}[${signal}]` }
  }

  /** A docker command that must succeed: its output without the last line end. */
  async ok(...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.docker(...args)
    assert.equal(status, 0, `docker ${args.join(' ')}: ${stderr}\n${this.output.slice(-2000)}`)
    return stdout.trimEnd()
  }

  /** A docker command that must fail: what it said, without the prefix and what follows the first line. */
  async refused(...args: string[]): Promise<string> {
    const { status, stderr } = await this.docker(...args)
    assert.notEqual(status, 0, `docker ${args.join(' ')} succeeded`)
    return stderr
      .split('\n')[0]!
      .replace(/^docker: /, '')
      .replace(/^Error response from daemon: /, '')
  }

  /** One request of the API. */
  api(method: string, target: string, body?: unknown): Promise<{ status: number; body: string }> {
    return this.ask(method, target, 'application/json', body === undefined ? '' : JSON.stringify(body))
  }

  /** An archive as a request's body. */
  send(target: string, archive: Uint8Array, method = 'POST'): Promise<{ status: number; body: string }> {
    return this.ask(method, target, 'application/x-tar', archive)
  }

  private ask(method: string, target: string, type: string, data: string | Uint8Array): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const headers = { 'Content-Length': Buffer.byteLength(data), ...(data.length > 0 && { 'Content-Type': type }) }
      const sent = request({ socketPath: this.socket, method, path: target, headers }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        response.on('end', () => resolve({ status: response.statusCode!, body: text }))
        response.on('error', reject)
      })
      sent.on('error', reject)
      sent.end(data)
    })
  }

  /** PIDs of shims that this daemon, or an earlier one on the same state, started. */
  shims(): number[] {
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .map(Number)
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(`\0${this.state}/run/`)
        } catch {
          return false
        }
      })
  }

  /** Whether a tool is there. */
  static has(tool: string): boolean {
    return spawnSync('which', [tool]).status === 0
  }
}

/** Tries until `check` gives something: for what happens in its own time. The limit, a minute and more, only ends what hangs. */
export async function until<T>(what: string, check: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  for (let attempt = 0; attempt < 1200; attempt++) {
    const found = await check()
    if (found !== undefined && found !== false) return found
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`not reached: ${what}`)
}

// Store servers for tests: real ones on the loopback, with data of their own in a folder that goes with them.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { sleep } from '../../src/engine/clock.ts'

/** Why a server cannot be started here; false when it can. */
export function programMissing(program: string, debianPackage: string): string | false {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0 ? false : `${program} (${debianPackage}) is not installed`
}

/** Ports that nobody had a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<net.Server>((resolve) => {
          const server = net.createServer().listen(0, '127.0.0.1', () => resolve(server))
        })
    )
  )
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

export async function answersAt(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, host)
    socket.on('connect', () => resolve(true) === undefined && socket.destroy())
    socket.on('error', () => resolve(false))
  })
}

/** One process that is started, killed, stopped and started again with the same data. */
export class StoreServer {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'netloom-store-'))
  readonly port: number
  private readonly command: (folder: string) => readonly string[]
  private child: ChildProcess | undefined
  private output = ''

  constructor(port: number, command: (folder: string) => readonly string[]) {
    this.port = port
    this.command = command
  }

  /** Resolves when `isReady`, by default the port, answers. */
  async start(isReady: () => Promise<boolean> = () => answersAt(this.port)): Promise<void> {
    const [program, ...args] = this.command(this.folder)
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: this.folder })
    this.child = child
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (this.output = (this.output + data).slice(-4000)))
    for (let tries = 0; !(await isReady()); tries++) {
      if (child.exitCode !== null || tries === 1200) throw new Error(`${program} does not answer:\n${this.output}`)
      await sleep(100)
    }
  }

  /** Neither answers nor ends: as a machine that hangs. */
  pause(): void {
    this.child?.kill('SIGSTOP')
  }

  resume(): void {
    this.child?.kill('SIGCONT')
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const { child } = this
    this.child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    if (signal !== 'SIGKILL') child.kill('SIGCONT')
    await ended
  }

  async close(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

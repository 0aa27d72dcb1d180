// The world around a user uplink: an ordinary user's network, a server on it, and a host behind that server.
//
//   user 203.0.113.1 ----- 203.0.113.2 server 198.51.100.1 ----- 198.51.100.2 far
//   2001:db8:1::1          2001:db8:1::2
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'
import type { GuestAnswer, GuestOrder } from './user-uplink-guest.ts'

/** An id that no account has: an ordinary user without one being made. */
const UID = 62_000 + (process.pid % 1000)

export const USER = '203.0.113.1'
export const SERVER = '203.0.113.2'
export const FAR = '198.51.100.2'
export const USER6 = '2001:db8:1::1'
export const SERVER6 = '2001:db8:1::2'

export interface Ready {
  readonly mac: string
  readonly addresses: readonly string[]
  readonly logs: readonly string[]
  readonly pids: readonly number[]
}

export const noUserUplink: string | false = whyNot()

function whyNot(): string | false {
  const missing = namespacesMissing('ip', 'setpriv', 'unshare', 'sysctl', 'curl', 'ping', 'socat')
  if (missing !== false) return missing
  if (!existsSync('build/Release/netloom-uplink')) return 'netloom-uplink is not built'
  const tried = spawnSync('setpriv', [`--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', 'unshare', '-Urn', 'true'])
  return tried.status === 0 ? false : 'an ordinary user may make no user namespace here'
}

export class UserWorld {
  readonly user = new TestNamespace()
  readonly server = new TestNamespace()
  readonly far = new TestNamespace()
  readonly folder: string
  /** What the server has printed. */
  readonly serverLines: string[] = []
  ready!: Ready
  guest!: ChildProcess
  private readonly pending = new Map<number, { resolve(answer: GuestAnswer): void; reject(error: Error): void }>()
  private nextId = 1
  private diagnostics = ''

  constructor() {
    // The checkout may be in a folder that only root can read.
    this.folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-'))
    chmodSync(this.folder, 0o755)
    for (const part of ['package.json', 'dist/src', 'dist/test/system']) cpSync(part, path.join(this.folder, part), { recursive: true })
    for (const program of ['netloom-shim', 'netloom-uplink', 'netloom_native.node']) {
      cpSync(`build/Release/${program}`, path.join(this.folder, 'build/Release', program))
    }
    mkdirSync(path.join(this.folder, 'dev'))
    this.wire()
  }

  private wire(): void {
    const { user, server, far } = this
    for (const namespace of [user, server, far]) namespace.run('ip', 'link', 'set', 'lo', 'up')
    user.run('ip', 'link', 'add', 'wan', 'type', 'veth', 'peer', 'name', 'lan', 'netns', server.path)
    server.run('ip', 'link', 'add', 'back', 'type', 'veth', 'peer', 'name', 'lan', 'netns', far.path)
    const addresses: [TestNamespace, string, string][] = [
      [user, 'wan', `${USER}/24`],
      [user, 'wan', `${USER6}/64`],
      [server, 'lan', `${SERVER}/24`],
      [server, 'lan', `${SERVER6}/64`],
      [server, 'back', '198.51.100.1/24'],
      [far, 'lan', `${FAR}/24`]
    ]
    for (const [namespace, device, address] of addresses) {
      namespace.run('ip', 'address', 'add', address, 'dev', device, ...(address.includes(':') ? ['nodad'] : []))
      namespace.run('ip', 'link', 'set', device, 'up')
    }
    user.run('ip', 'route', 'add', 'default', 'via', SERVER)
    user.run('ip', 'route', 'add', 'prohibit', '192.0.2.13')
    user.run('sysctl', '-qw', 'net.ipv4.ping_group_range=0 2147483647')
    server.run('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.icmp_ratelimit=0', 'net.ipv4.icmp_msgs_per_sec=100000')
    far.run('ip', 'route', 'add', 'default', 'via', '198.51.100.1')
  }

  /**
   * `timeouts` as of UserUplinkOptions, `openFiles` the hard limit; default the test's own. In a mount namespace of its own /dev/net/tun is a
   * node that the user may open.
   */
  async start(timeouts: Record<string, number> = {}, openFiles?: number): Promise<void> {
    const guest = path.join(this.folder, 'dist/test/system/user-uplink-guest.js')
    const shell = `${openFiles === undefined ? '' : `ulimit -n ${openFiles} &&`}
      mount -t tmpfs none ${this.folder}/dev && mknod ${this.folder}/dev/tun c 10 200 && chmod 666 ${this.folder}/dev/tun &&
      mount --bind ${this.folder}/dev/tun /dev/net/tun && exec setpriv --reuid ${UID} --regid ${UID} --clear-groups "$@"`
    const argv = ['sh', '-c', shell, 'sh', process.execPath, guest, JSON.stringify(timeouts)]
    this.guest = spawn('nsenter', [`--net=${this.user.path}`, 'unshare', '-m', ...argv], { stdio: ['pipe', 'pipe', 'pipe'] })
    this.guest.stderr!.on('data', (data) => {
      this.diagnostics += data
    })
    await new Promise<void>((resolve, reject) => {
      this.guest.on('exit', () => {
        const error = new Error(`the guest ended: ${this.diagnostics}`)
        reject(error)
        for (const { reject: give } of this.pending.values()) give(error)
      })
      createInterface({ input: this.guest.stdout! }).on('line', (line) => {
        const { id, ready, ...answer } = JSON.parse(line)
        if (ready !== undefined) {
          this.ready = ready
          resolve()
        } else {
          this.pending.get(id)?.resolve(answer)
          this.pending.delete(id)
        }
      })
    })
  }

  ask(order: GuestOrder): Promise<GuestAnswer> {
    const id = this.nextId++
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject })
      this.guest.stdin!.write(`${JSON.stringify({ id, order })}\n`)
    })
  }

  /** Runs a command in the container. */
  run(...argv: string[]): Promise<GuestAnswer> {
    return this.ask({ run: argv })
  }

  /** Runs the body of an ES module in the container, where `out(value)` prints JSON; resolves with what it printed last. */
  async script(body: string): Promise<unknown> {
    const module = `
      import net from 'node:net'
      import dgram from 'node:dgram'
      import { once } from 'node:events'
      const out = (value) => console.log(JSON.stringify(value))
      ${body}`
    const { status, stdout, stderr } = await this.run(process.execPath, '--input-type=module', '-e', module)
    if (status !== 0) throw new Error(`exit ${status}: ${stderr}`)
    return JSON.parse(stdout!.trim().split('\n').at(-1)!)
  }

  /** Starts test/system/user-uplink-server.ts in the server's namespace; it prints lines. */
  async startServer(): Promise<void> {
    const child = this.server.start(process.execPath, path.join(this.folder, 'dist/test/system/user-uplink-server.js'))
    await new Promise<void>((resolve) => {
      createInterface({ input: child.stdout! }).on('line', (line) => {
        this.serverLines.push(line)
        resolve()
      })
    })
  }

  async stats(): Promise<Record<string, number>> {
    return (await this.ask({ stats: true })).stats!
  }

  async close(): Promise<void> {
    if (this.guest !== undefined && this.guest.exitCode === null && this.guest.signalCode === null) {
      const ended = new Promise((resolve) => this.guest.once('exit', resolve))
      this.guest.stdin!.end()
      await ended
    }
    for (const namespace of [this.user, this.server, this.far]) namespace.close()
    rmSync(this.folder, { recursive: true })
  }
}

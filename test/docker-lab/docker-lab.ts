// The oracle's lab (test/oracle/lab: three namespaces and the services of an outside host) with a daemon in it: ours, or a real
// dockerd for a recording or a comparison. Each lab has a folder, namespaces and sockets of its own, so several may stand at once.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { namespacesMissing } from '../system/test-namespace.ts'
import { mendTools } from './tools-image.ts'

/** The checkout: this file runs as dist/test/docker-lab/docker-lab.js. */
export const ROOT = path.resolve(import.meta.dirname, '../../..')
export const ORACLE = path.join(ROOT, 'test/oracle')
const IN_LAB = path.join(ROOT, 'test/docker-lab/netloom-in-lab')
const TOOLS = 'docker ip busybox dig iperf3 curl tcpdump socat python3 unshare setsid'.split(' ')

export type DaemonKind = 'netloom' | 'dockerd'

export interface Finished {
  status: number
  stdout: string
  stderr: string
}

/** Why no lab can stand here; false when one can. `tools` are commands needed besides those of the images. */
export function labMissing(...tools: string[]): string | false {
  return namespacesMissing(...TOOLS, ...tools)
}

/** The daemon that the scenarios are run against: ours, unless NETLOOM_ORACLE_DAEMON=dockerd asks the real one to prove the harness. */
export function daemonKind(): DaemonKind {
  return process.env['NETLOOM_ORACLE_DAEMON'] === 'dockerd' ? 'dockerd' : 'netloom'
}

export interface LabOptions {
  /** Two hosts that share an etcd. */
  readonly cluster?: boolean
  /** Two hosts. */
  readonly double?: boolean
}

let made = 0

export class DockerLab {
  readonly kind: DaemonKind
  readonly folder: string
  readonly prefix: string
  readonly socket: string
  /** More environment for the daemon: NETLOOM_DAEMON_ARGS, NETLOOM_CRASH. */
  readonly daemonEnvironment: Record<string, string> = {}

  /** Whether a second host stands there too. */
  readonly isDouble: boolean
  /** Whether both hosts share a store. */
  readonly isCluster: boolean

  /** `name` starts the names of the namespaces: at most 5 letters. */
  constructor(name: string, kind: DaemonKind = 'netloom', { cluster = false, double = cluster }: LabOptions = {}) {
    this.kind = kind
    this.isDouble = double || cluster
    this.isCluster = cluster
    this.prefix = `${name}${(process.pid % 46656).toString(36)}${(made++).toString(36)}`
    this.folder = mkdtempSync(path.join(tmpdir(), `netloom-test-lab-${name}-`))
    this.socket = path.join(this.folder, kind === 'netloom' ? 'n1.sock' : 'd1.sock')
  }

  get dockerHost(): string {
    return `unix://${this.socket}`
  }

  /** Where netloom's daemon writes its log. */
  get log(): string {
    return path.join(this.folder, this.kind === 'netloom' ? 'n1/log' : 'd1/log')
  }

  get stateDirectory(): string {
    return path.join(this.folder, 'n1/state')
  }

  /** What `compare`, `record` and `mkimages` read. */
  get environment(): Record<string, string> {
    return {
      LAB: this.folder,
      LAB_PREFIX: this.prefix,
      DOCKER_HOST: this.dockerHost,
      ORACLE_RESET: this.kind === 'netloom' ? `${IN_LAB} reset` : `${ORACLE}/lab reset 1`,
      ORACLE_HAVE: this.isCluster ? 'tools macvlan ipv6 overlay kv' : 'tools macvlan ipv6 overlay',
      ...(this.isDouble && this.secondEnvironment()),
      ...(this.isCluster && this.clusterEnvironment()),
      // Never written next to the oracle's files, which a test compares.
      PYTHONDONTWRITEBYTECODE: '1'
    }
  }

  /** Namespaces, outside services, the daemon, and the five images. */
  async up(): Promise<void> {
    await this.must(`${ORACLE}/lab`, 'up')
    if (this.isCluster) await this.resetCluster()
    else await this.start()
    if (!this.isDouble) {
      await this.must(`${ORACLE}/mkimages`)
      await mendTools(this)
      return
    }
    if (!this.isCluster) await this.daemon('start', 2)
    // LAB is where the images' files are put together.
    const images = ([1, 2] as const).map((host) =>
      this.run(`${ORACLE}/mkimages`, [], { DOCKER_HOST: `unix://${this.socketOf(host)}`, LAB: path.join(this.folder, `images${host}`) })
    )
    for (const { status, stderr } of await Promise.all(images)) if (status !== 0) throw new Error(`images: ${stderr}${this.logEnd()}`)
  }

  start(): Promise<Finished> {
    return this.daemon('start')
  }

  stop(): Promise<Finished> {
    return this.daemon('stop')
  }

  /** SIGKILL; containers live on. */
  kill(): Promise<Finished> {
    return this.kind === 'netloom' ? this.must(IN_LAB, 'kill') : this.must(`${ORACLE}/lab`, 'ctl', 'kill', '1')
  }

  reset(): Promise<Finished> {
    return this.daemon('reset')
  }

  /** Both daemons afresh, with an empty store. */
  resetCluster(): Promise<Finished> {
    return this.kind === 'netloom' ? this.must(IN_LAB, 'reset-kv') : this.must(`${ORACLE}/lab`, 'reset', '--cluster')
  }

  socketOf(host: 1 | 2): string {
    return path.join(this.folder, `${this.kind === 'netloom' ? 'n' : 'd'}${host}.sock`)
  }

  private clusterEnvironment(): Record<string, string> {
    const ours = this.kind === 'netloom'
    return {
      NETLOOM_LAB_CLUSTER: 'yes',
      ORACLE_RESET_KV: ours ? `${IN_LAB} reset-kv` : `${ORACLE}/lab reset --cluster`,
      ORACLE_CTL: ours ? `${IN_LAB} ctl` : `${ORACLE}/lab ctl`
    }
  }

  private secondEnvironment(): Record<string, string> {
    return { ORACLE_DOCKER2: `docker -H unix://${this.socketOf(2)}`, ORACLE_HOST2: `nsenter --net=/run/netns/${this.prefix}2` }
  }

  /** Runs a docker command to its end. */
  docker(...args: string[]): Promise<Finished> {
    return this.run('docker', args)
  }

  /** A docker command that must succeed; its output without the last line end. */
  async ok(...args: string[]): Promise<string> {
    return (await this.must('docker', ...args)).stdout.trimEnd()
  }

  /** Command and arguments that run `command` on the daemon's host. */
  onHost(...command: string[]): [string, string[]] {
    if (this.kind === 'netloom') return [IN_LAB, ['exec', ...command]]
    return ['nsenter', ['-t', readFileSync(path.join(this.folder, 'd1/host.pid'), 'utf8').trim(), '--net', '--mount', '--uts', ...command]]
  }

  get daemonPid(): number {
    return Number(readFileSync(path.join(this.folder, this.kind === 'netloom' ? 'n1/daemon.pid' : 'd1/d.pid'), 'utf8'))
  }

  run(command: string, args: readonly string[], environment: Record<string, string> = {}): Promise<Finished> {
    const env = { ...process.env, ...this.environment, ...this.daemonEnvironment, ...environment }
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (data) => {
      stdout += data
    })
    child.stderr.on('data', (data) => {
      stderr += data
    })
    return new Promise((resolve, reject) => {
      child.on('error', reject)
      // Not 'close': a daemon that a script started may hold the pipe. What the command itself wrote is in it by now, and is read when
      // the loop has polled once more.
      child.on('exit', async (status, signal) => {
        for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
        resolve({ status: status ?? -1, stdout, stderr: signal === null ? stderr : `${stderr}[${signal}]` })
      })
    })
  }

  async must(command: string, ...args: string[]): Promise<Finished> {
    const result = await this.run(command, args)
    if (result.status !== 0)
      throw new Error(`${[command, ...args].join(' ')}: exit ${result.status}\n${result.stdout}${result.stderr}${this.logEnd()}`)
    return result
  }

  /** The last lines of the daemon's log, for messages. */
  logEnd(): string {
    return existsSync(this.log) ? `\nthe daemon's log ends:\n${readFileSync(this.log, 'utf8').split('\n').slice(-15).join('\n')}` : ''
  }

  /** Ends everything; synchronous, for `after` and for exits. */
  down(): void {
    const options = { env: { ...process.env, ...this.environment }, stdio: 'ignore', timeout: 60_000 } as const
    if (this.kind === 'netloom') spawnSync(IN_LAB, ['down'], options)
    spawnSync(`${ORACLE}/lab`, ['down'], options)
    rmSync(this.folder, { recursive: true, force: true })
  }

  private daemon(action: 'start' | 'stop' | 'reset', host: 1 | 2 = 1): Promise<Finished> {
    return this.must(this.kind === 'netloom' ? IN_LAB : `${ORACLE}/lab`, action, String(host))
  }
}

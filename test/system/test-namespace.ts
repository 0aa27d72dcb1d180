// A network namespace for one test: kept by a descriptor, so it ends with the test process however that ends.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { tryLoadNative } from '../../src/io/load-native.ts'

/** Why tests with real namespaces and TAPs cannot run here; false when they can. `tools` are commands that they call. */
export function namespacesMissing(...tools: string[]): string | false {
  const native = tryLoadNative()
  if (native === null) return 'the addon is not built'
  if (process.getuid?.() !== 0) return 'needs root'
  if (!existsSync('/dev/net/tun')) return 'there is no /dev/net/tun'
  for (const tool of ['nsenter', ...tools]) {
    if (spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0) return `${tool} is not installed`
  }
  try {
    native.closeFd(native.createNetns())
  } catch (error) {
    return `no network namespace can be made: ${(error as Error).message}`
  }
  return false
}

export class TestNamespace {
  readonly fd: number
  private readonly children: ChildProcess[] = []

  constructor() {
    this.fd = tryLoadNative()!.createNetns()
  }

  /** Opens for other processes while this one lives. */
  get path(): string {
    return `/proc/${process.pid}/fd/${this.fd}`
  }

  /** Runs a command in the namespace to its end; throws with its output when it fails. */
  run(command: string, ...args: string[]): string {
    const result = spawnSync('nsenter', [`--net=${this.path}`, command, ...args], { encoding: 'utf8' })
    if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${result.status}\n${result.stdout}${result.stderr}`)
    return result.stdout
  }

  /**
   * So many echo requests, one after the other, each of which must be answered. `ping -c N` waits for its last answer no longer than the
   * interval or twice the longest way, and with -w it sends more than N: neither tells loss from a machine that stalls.
   */
  async echoes(count: number, ...args: string[]): Promise<void> {
    for (let number = 1; number <= count; number++) {
      const { status, stdout, stderr } = await this.exec('ping', '-n', '-c', '1', '-W', '60', ...args)
      if (status !== 0 || /DUP|wrong data|truncated/.test(stdout))
        throw new Error(`ping ${args.join(' ')}, number ${number}: ${stdout}${stderr}`)
    }
  }

  /** `ip -j ...` as data: the independent judge of what the kernel holds. */
  ip(...args: string[]): Record<string, unknown>[] {
    const text = this.run('ip', '-j', '-d', ...args)
    return text.trim() === '' ? [] : JSON.parse(text)
  }

  /** Starts a command in the namespace; `close` ends it. */
  start(command: string, ...args: string[]): ChildProcess {
    const child = spawn('nsenter', [`--net=${this.path}`, command, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.children.push(child)
    return child
  }

  /** Starts a command and resolves with its end. */
  async exec(command: string, ...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
    const child = this.start(command, ...args)
    let stdout = ''
    let stderr = ''
    child.stdout!.on('data', (data) => {
      stdout += data
    })
    child.stderr!.on('data', (data) => {
      stderr += data
    })
    return new Promise((resolve) => {
      child.on('close', (status) => resolve({ status: status ?? -1, stdout, stderr }))
    })
  }

  close(): void {
    for (const child of this.children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    tryLoadNative()!.closeFd(this.fd)
  }
}

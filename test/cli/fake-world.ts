/** Stand-ins for the world around a command: streams that keep their text, and machines described by a few facts. */
import { ExitCode } from '../../src/cli/cli-error.ts'
import type { CliContext } from '../../src/cli/context.ts'
import type { CommandResult, Machine } from '../../src/cli/doctor/machine.ts'
import { runCli } from '../../src/cli/run-cli.ts'

export class TextSink {
  text = ''
  readonly isTTY: boolean
  readonly columns: number | undefined

  constructor(terminal?: { columns: number }) {
    this.isTTY = terminal !== undefined
    this.columns = terminal?.columns
  }

  write(text: string): void {
    this.text += text
  }
}

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command line inside this process; `interrupt` stands for Ctrl-C, and `stdout` hears what is written. */
export async function runHere(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  { interrupt = new AbortController().signal, stdout = new TextSink() }: { interrupt?: AbortSignal; stdout?: TextSink } = {}
): Promise<Ran> {
  const stderr = new TextSink()
  const context: CliContext = { stdout, stderr, env, exitCode: ExitCode.ok, interruption: () => interrupt }
  const code = await runCli(args, context)
  return { code, stdout: stdout.text, stderr: stderr.text }
}

export interface MachineFacts {
  uid?: number
  groups?: number[]
  kernelRelease?: string
  nodeVersion?: string
  platform?: string
  /** Texts of the files that exist. */
  files?: Record<string, string>
  /** Files that this user may not use. */
  forbidden?: string[]
  /** Names of programs that are installed. */
  programs?: string[]
  folders?: Record<string, string[]>
  alive?: number[]
  run?: (program: string, args: readonly string[]) => CommandResult
}

export const HEALTHY_PROBE = { status: 0, stdout: JSON.stringify({ offloads: 0x1e7, vnetHeaderLength: 24 }), stderr: '' }
const MEMINFO = 'MemTotal: 16000000 kB\nMemAvailable:    8000000 kB'
const LIMITS =
  'Limit                     Soft Limit           Hard Limit           Units\nMax open files            1048576              1048576              files'
const ALL_PROGRAMS = ['unshare', 'wireshark', 'tshark', 'tcpdump', 'iperf3', 'ping', 'dig', 'ip', 'newuidmap', 'newgidmap']

/** A machine on which all is well, but for what `facts` says. */
export function fakeMachine(facts: MachineFacts = {}): Machine {
  const uid = facts.uid ?? 0
  const userName = uid === 0 ? 'root' : 'ada'
  const files: Record<string, string> = {
    '/proc/meminfo': MEMINFO,
    '/proc/self/limits': LIMITS,
    '/dev/net/tun': '',
    '/proc/self/ns/user': '',
    '/opt/netloom/build/Release/netloom-shim': '',
    '/opt/netloom/build/Release/netloom-uplink': '',
    '/proc/sys/net/ipv4/ping_group_range': '0\t2147483647',
    '/etc/subuid': 'ada:100000:65536',
    '/etc/subgid': 'ada:100000:65536',
    ...facts.files
  }
  const programs = facts.programs ?? ALL_PROGRAMS
  return {
    platform: facts.platform ?? 'linux',
    kernelRelease: facts.kernelRelease ?? '6.18.1',
    nodeVersion: facts.nodeVersion ?? '20.19.0',
    uid,
    userName,
    groups: facts.groups ?? [uid],
    env: {},
    root: '/opt/netloom',
    exists: (file) => files[file] !== undefined,
    may: (file) => files[file] !== undefined && !facts.forbidden?.includes(file),
    read: (file) => files[file] ?? null,
    list: (folder) => facts.folders?.[folder] ?? [],
    which: (program) => (programs.includes(program) ? `/usr/bin/${program}` : null),
    run: facts.run ?? (() => HEALTHY_PROBE),
    isAlive: (pid) => facts.alive?.includes(pid) ?? false
  }
}

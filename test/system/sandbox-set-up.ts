import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { Sandbox, type SandboxOptions } from '../../src/sandbox/sandbox.ts'
import type { ExitStatus, SpawnOptions } from '../../src/sandbox/sandbox-process.ts'

/** Why sandboxes cannot be tried here, or false: for the `skip` of a suite. */
export const noSandbox: string | false = tryLoadNative() === null ? 'the addon is not built' : process.getuid?.() !== 0 ? 'not root' : false

/** Runs `body` with a sandbox that is closed whatever happens. */
export async function withSandbox(options: Partial<SandboxOptions>, body: (sandbox: Sandbox) => Promise<void>): Promise<void> {
  const sandbox = await Sandbox.create({ name: 'test', ...options })
  try {
    await body(sandbox)
  } finally {
    await sandbox.close()
  }
}

export interface CommandResult extends ExitStatus {
  readonly stdout: string
  readonly stderr: string
}

/** Runs one command to its end and collects what it wrote. */
export async function run(sandbox: Sandbox, argv: string[], options: Partial<SpawnOptions> = {}): Promise<CommandResult> {
  const process = await sandbox.spawn({ argv, stdio: ['null', 'pipe', 'pipe'], ...options })
  const [stdout, stderr, status] = await Promise.all([text(process.stdout!), text(process.stderr!), process.wait()])
  return { stdout, stderr, ...status }
}

/** The namespaces of a process: 'net:[4026531833]'. */
export function namespacesOf(pid: number): string[] {
  return ['net', 'mnt', 'uts', 'pid', 'ipc'].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`))
}

/** PIDs of all processes that are in one of these namespaces, zombies included as far as the kernel still tells. */
export function processesIn(namespaces: readonly string[]): number[] {
  const wanted = new Set(namespaces)
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return namespacesOf(pid).some((namespace) => wanted.has(namespace))
      } catch {
        return false // it has ended meanwhile, or is a zombie, which is in no namespace
      }
    })
}

/** Children of `parent` that nobody has waited for. */
export function zombiesOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        const [state, ppid] = readFileSync(`/proc/${entry}/stat`, 'latin1')
          .replace(/^.*\) /s, '')
          .split(' ')
        return state === 'Z' && Number(ppid) === parent ? [Number(entry)] : []
      } catch {
        return []
      }
    })
}

/** Tries until `check` is true: for what the kernel does in its own time. Throws after a minute: on a busy machine that can be long. */
export async function eventually(what: string, check: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 6000; attempt++) {
    if (check()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`not reached: ${what}`)
}

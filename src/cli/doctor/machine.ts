/** What the doctor looks at, behind an interface so that tests can describe machines other than their own. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { packageRoot } from '../package-root.ts'

export interface CommandResult {
  /** The exit status; -1 when it was not found, or ended by a signal or after 10 s. */
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export interface Machine {
  readonly platform: string
  /** As `uname -r` prints it. */
  readonly kernelRelease: string
  /** '20.19.1'. */
  readonly nodeVersion: string
  readonly uid: number
  readonly userName: string
  /** Ids of the user's groups. */
  readonly groups: readonly number[]
  readonly env: NodeJS.ProcessEnv
  /** Where the package is installed. */
  readonly root: string
  exists(file: string): boolean
  /** May this user do it? `mode` is 'rw' or 'x'. */
  may(file: string, mode: 'rw' | 'x'): boolean
  /** The text without the last line break, or null when it cannot be read. */
  read(file: string): string | null
  /** Names in a folder; none when it cannot be read. */
  list(folder: string): readonly string[]
  /** The full path of a program, or null. Looks in sbin folders too, which an ordinary user's PATH lacks on Debian. */
  which(program: string): string | null
  run(program: string, args: readonly string[]): CommandResult
  isAlive(pid: number): boolean
}

/** The machine that this process runs on. */
export function thisMachine(env: NodeJS.ProcessEnv = process.env): Machine {
  return {
    platform: process.platform,
    kernelRelease: os.release(),
    nodeVersion: process.versions.node,
    uid: process.getuid?.() ?? -1,
    userName: userName(),
    groups: process.getgroups?.() ?? [],
    env,
    root: packageRoot(),
    exists: existsSync,
    may: (file, mode) => succeeds(() => accessSync(file, mode === 'x' ? constants.X_OK : constants.R_OK | constants.W_OK)),
    read: (file) => orElse(() => readFileSync(file, 'utf8').trimEnd(), null),
    list: (folder) => orElse(() => readdirSync(folder), []),
    which: (program) => findProgram(program, env),
    run(program, args) {
      const result = spawnSync(program, args, { encoding: 'utf8', timeout: 10_000, env })
      return { status: result.status ?? -1, stdout: result.stdout ?? '', stderr: result.stderr ?? result.error?.message ?? '' }
    },
    // EPERM: it lives and is another user's.
    isAlive: (pid) => succeeds(() => process.kill(pid, 0), 'EPERM')
  }
}

/** There may be no entry for the uid, as in a container. */
function userName(): string {
  return orElse(() => os.userInfo().username, `uid ${process.getuid?.()}`)
}

function findProgram(program: string, env: NodeJS.ProcessEnv): string | null {
  const folders = [...(env['PATH'] ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin']
  for (const folder of folders) {
    const file = path.join(folder, program)
    if (folder !== '' && succeeds(() => accessSync(file, constants.X_OK))) return file
  }
  return null
}

function succeeds(action: () => unknown, harmless?: string): boolean {
  try {
    action()
    return true
  } catch (error) {
    return harmless !== undefined && (error as NodeJS.ErrnoException).code === harmless
  }
}

function orElse<T>(action: () => T, otherwise: T): T {
  try {
    return action()
  } catch {
    return otherwise
  }
}

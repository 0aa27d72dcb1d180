// Labs as a user runs them: `netloom up`, `netloom down` and the docker client on each host's socket.
import { type ChildProcess, type StdioOptions, spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { LabView } from '../../src/emulation/lab-view.ts'

const PROGRAM = path.resolve('bin/netloom.js')

export interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A folder with labs of its own, for one suite. */
export class LabFolder {
  readonly path = mkdtempSync(path.join(tmpdir(), 'netloom-test-emulation-'))

  get labs(): string {
    return path.join(this.path, 'labs')
  }

  /** Writes a lab file; gives its path. */
  write(name: string, text: string): string {
    const file = path.join(this.path, name)
    writeFileSync(file, text)
    return file
  }

  run(...args: string[]): Ran {
    return this.runWith('/dev/null', ...args)
  }

  /** With a file as its standard input. */
  runWith(input: string, ...args: string[]): Ran {
    const fd = openSync(path.resolve(this.path, input), 'r')
    const stdio: StdioOptions = [fd, 'pipe', 'pipe']
    try {
      return spawnSync(process.execPath, [PROGRAM, ...args], { env: this.env, encoding: 'utf8', timeout: 300_000, cwd: this.path, stdio })
    } finally {
      closeSync(fd)
    }
  }

  /** In the foreground. */
  start(...args: string[]): ChildProcess {
    return spawn(process.execPath, [PROGRAM, ...args], { env: this.env, cwd: this.path, stdio: ['ignore', 'pipe', 'pipe'] })
  }

  /** Throws with what was said when it does not come up. */
  up(file: string, ...args: string[]): LabView {
    const { status, stdout, stderr } = this.run('up', '-d', '--json', file, ...args)
    if (status !== 0) throw new Error(`up ended with ${status}: ${stderr}`)
    return JSON.parse(stdout) as LabView
  }

  /** The docker client on a host's socket; throws with its output when it fails. */
  docker(lab: string, host: string, ...args: string[]): string {
    const { status, stdout, stderr } = this.tryDocker(lab, host, ...args)
    if (status !== 0) throw new Error(`docker ${args.join(' ')} on ${host}: ${status}\n${stdout}${stderr}`)
    return stdout.trim()
  }

  tryDocker(lab: string, host: string, ...args: string[]): Ran {
    return spawnSync('docker', ['-H', this.socket(lab, host), ...args], { encoding: 'utf8', timeout: 180_000 })
  }

  /** Of a host's API, as `-H` takes it. */
  socket(lab: string, host: string): string {
    return `unix://${path.join(this.labs, lab, `${host}.sock`)}`
  }

  /** The process that has the lab. */
  pid(lab: string): number {
    const labs = JSON.parse(this.run('lab', 'ls', '--json').stdout) as { name: string; pid: number }[]
    return labs.find(({ name }) => name === lab)!.pid
  }

  /** Processes whose command line names this folder: of labs, of shims. */
  get processes(): number[] {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
    return pids.map(Number).filter((pid) => pid !== process.pid && commandLine(pid).includes(this.path))
  }

  /** What a lab that ended has left: nothing. */
  get leftovers(): string[] {
    const folders = existsSync(this.labs) ? readdirSync(this.labs) : []
    return [...folders, ...this.processes.map((pid) => `${pid} ${commandLine(pid)}`)]
  }

  /** Ends whatever a failed test left. */
  close(): void {
    for (const lab of existsSync(this.labs) ? readdirSync(this.labs) : []) this.run('down', lab, '--timeout', '20')
    rmSync(this.path, { recursive: true, force: true })
  }

  private get env(): NodeJS.ProcessEnv {
    return { ...process.env, NETLOOM_LABS: this.labs }
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

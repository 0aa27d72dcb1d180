/** Where a lab keeps what it has: one folder for each, by its name. */
import { fstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { loadNative } from '../io/load-native.ts'
import { LabError } from './lab-error.ts'

/** What is told of a lab to whoever asks, as a file. */
export interface LabRecord {
  readonly name: string
  /** Absolute. */
  readonly file: string
  readonly status: 'starting' | 'running' | 'stopping'
  readonly hosts: readonly {
    readonly name: string
    /** 'unix:///path': what `docker -H` takes. */
    readonly socket: string
    /** CIDR; none: the machine's own. */
    readonly addresses: readonly string[]
    readonly underlay: string | null
  }[]
}

/** 0: a process of another PID namespace, or one that has just let go. null: nobody has the lab. */
type Held = { readonly pid: number } | null

export class LabDirectory {
  readonly root: string
  readonly name: string

  /** @param labs where the folders of labs are */
  constructor(labs: string, name: string) {
    this.name = name
    this.root = path.join(labs, name)
  }

  /** All that there are, by name. */
  static list(labs: string): LabDirectory[] {
    let names: string[]
    try {
      names = readdirSync(labs)
    } catch {
      return [] // no lab ever was
    }
    return names.sort().map((name) => new LabDirectory(labs, name))
  }

  get log(): string {
    return path.join(this.root, 'log')
  }

  host(name: string): string {
    return path.join(this.root, 'hosts', name)
  }

  get hosts(): string[] {
    try {
      return readdirSync(path.join(this.root, 'hosts')).map((name) => this.host(name))
    } catch {
      return []
    }
  }

  /** Where sockets of shims go when the path of a host's own folder is too long for them. */
  get sockets(): string {
    return path.join(this.root, 'run')
  }

  /** The API's. */
  socket(host: string): string {
    return path.join(this.root, `${host}.sock`)
  }

  /** Makes it this process's, as long as the process lives or until the returned function is called. Throws LabError `running`. */
  acquire(): () => void {
    const native = loadNative()
    for (;;) {
      mkdirSync(this.root, { recursive: true, mode: 0o711 })
      const { fd, holder } = this.tryLock()
      if (fd === -1) throw this.running(holder)
      // The lock of a folder that its holder has removed meanwhile is nobody's: the next one would make another.
      if (fd !== null && this.isLock(fd)) return () => native.closeFd(fd)
      if (fd !== null) native.closeFd(fd)
    }
  }

  /** `fd` null: the folder went away under our feet. */
  private tryLock(): { fd: number | null; holder: number } {
    try {
      return loadNative().lockFile(this.lock)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { fd: null, holder: 0 }
      throw error
    }
  }

  private isLock(fd: number): boolean {
    const there = statSync(this.lock, { throwIfNoEntry: false })
    const ours = fstatSync(fd)
    return there?.ino === ours.ino && there.dev === ours.dev
  }

  private running(holder: number): LabError {
    return new LabError('ERR_LAB_RUNNING', `the lab '${this.name}' runs already: process ${holder}`, {
      fix: `netloom down --project ${this.name} ends it; --project gives another one of the same file another name`
    })
  }

  /** Who has it: the kernel knows, also after a kill -9. null: nobody. */
  get holder(): Held {
    const native = loadNative()
    try {
      const { fd, holder } = native.lockFile(this.lock)
      if (fd === -1) return { pid: holder }
      native.closeFd(fd)
    } catch {
      // The folder is gone.
    }
    return null
  }

  /** undefined: none, or not yet. */
  read(): LabRecord | undefined {
    try {
      return JSON.parse(readFileSync(this.file, 'utf8')) as LabRecord
    } catch {
      return undefined
    }
  }

  /** In one piece: a reader sees the old one or the new one. */
  write(record: LabRecord): void {
    writeFileSync(`${this.file}.new`, `${JSON.stringify(record, null, 2)}\n`)
    renameSync(`${this.file}.new`, this.file)
  }

  /** By its holder. The lock goes last; who takes the name from then on keeps what it makes. */
  remove(): void {
    for (const name of this.contents) if (name !== 'lock') rmSync(path.join(this.root, name), { recursive: true, force: true })
    rmSync(this.lock, { force: true })
    try {
      rmdirSync(this.root)
    } catch (error) {
      if (!['ENOTEMPTY', 'ENOENT'].includes((error as NodeJS.ErrnoException).code!)) throw error
    }
  }

  private get contents(): string[] {
    try {
      return readdirSync(this.root)
    } catch {
      return [] // it is gone already
    }
  }

  private get lock(): string {
    return path.join(this.root, 'lock')
  }

  private get file(): string {
    return path.join(this.root, 'lab.json')
  }
}

/** Where a lab keeps what it has: one folder for each, by its name. */
import { existsSync, fstatSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { loadNative } from '../io/load-native.ts'
import { makeFolder } from '../store/make-folder.ts'
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

  /**
   * Makes it this process's, as long as the process lives or until the returned function is called. Throws LabError `running`, or
   * `folder` where there can be none.
   */
  acquire(): () => void {
    return this.take(this.lock)
  }

  /** The same for who starts the process that is to have it: until that has said whether it is up, `down` ends both. */
  acquireStart(): () => void {
    const { holder } = this
    if (holder !== null) throw this.running(holder.pid)
    return this.take(this.startLock)
  }

  private take(lock: string): () => void {
    const native = loadNative()
    for (;;) {
      try {
        makeFolder(this.root, 0o711)
      } catch (cause) {
        throw new LabError('ERR_LAB_FOLDER', `a lab cannot be kept in ${this.root}: ${(cause as Error).message}`, {
          fix: '--labs DIR keeps labs elsewhere',
          cause
        })
      }
      const { fd, holder } = this.tryLock(lock)
      if (fd === -1) throw this.running(holder)
      // The lock of a folder that its holder has removed meanwhile is nobody's: the next one would make another.
      if (fd !== null && this.isAt(lock, fd)) return () => native.closeFd(fd)
      if (fd !== null) native.closeFd(fd)
    }
  }

  /** `fd` null: the folder went away under our feet. */
  private tryLock(lock: string): { fd: number | null; holder: number } {
    try {
      return loadNative().lockFile(lock)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { fd: null, holder: 0 }
      throw error
    }
  }

  private isAt(lock: string, fd: number): boolean {
    const there = statSync(lock, { throwIfNoEntry: false })
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
    return this.holderOf(this.lock)
  }

  /** Who is starting it in the background. */
  get starter(): Held {
    return this.holderOf(this.startLock)
  }

  /** Nothing is made: whoever looks may not be who may write. */
  private holderOf(lock: string): Held {
    if (!existsSync(lock)) return null
    const native = loadNative()
    try {
      const { fd, holder } = native.lockFile(lock)
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

  private get startLock(): string {
    return path.join(this.root, 'start-lock')
  }

  private get file(): string {
    return path.join(this.root, 'lab.json')
  }
}

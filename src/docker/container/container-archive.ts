/**
 * `docker cp`, `export` and `diff`. Paths of a container mean what they mean inside of it, symbolic links included, so they are never
 * opened from outside, where a link could lead to the host: the container's own tar, stat and readlink do the work, in its sandbox or,
 * when it does not run, in one that is made for the moment. An image without them cannot be copied from.
 */
import { lstat, mkdir, readdir } from 'node:fs/promises'
import path from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { ApiError } from '../../api/api-error.ts'
import type { PathStat } from '../../api/container-backend.ts'
import { decompress } from '../../image/decompress.ts'
import { ImageError } from '../../image/image-error.ts'
import { Sandbox } from '../../sandbox/sandbox.ts'
import type { SandboxError } from '../../sandbox/sandbox-error.ts'
import type { SandboxProcess } from '../../sandbox/sandbox-process.ts'
import { guardOverwrites } from './archive-guard.ts'
import type { Container } from './container.ts'
import { dataMounts } from './container-mounts.ts'

const ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' }

/** What is mounted in every container. Where the image has none, the mount left an empty one below. */
const MOUNTED = ['/dev', '/etc/hostname', '/etc/hosts', '/etc/resolv.conf', '/proc', '/sys']

/** What the kernel and not the image put there. */
const NOT_EXPORTED = ['proc', 'sys', 'dev']

/** File types of stat(2), and their bits in Go's os.FileMode. */
const TYPE_BITS: ReadonlyMap<number, number> = new Map([
  [0o040000, 2 ** 31],
  [0o120000, 2 ** 27],
  [0o060000, 2 ** 26],
  [0o020000, 2 ** 26 + 2 ** 21],
  [0o010000, 2 ** 25],
  [0o140000, 2 ** 24]
])

/** As `GET /containers/{id}/changes`: 0 changed, 1 added, 2 removed. */
export interface FileChange {
  Path: string
  Kind: 0 | 1 | 2
}

/** `name` is how the user called the container, for messages. Throws ApiError 404. */
export function archiveStat(container: Container, name: string, file: string): Promise<PathStat> {
  return withSandbox(container, (sandbox) => statIn(sandbox, name, file))
}

/** A tar of a file or directory, whose entries begin with its last name; with '.' where the path ends in '/.'. */
export async function archiveGet(
  container: Container,
  name: string,
  file: string
): Promise<{ stat: PathStat; send: (to: Writable) => Promise<void> }> {
  const stat = await archiveStat(container, name, file)
  const whole = absolute(file)
  const isInside = whole === '/' || whole.endsWith('/.')
  // A slash at the end goes along: behind a link it means the directory.
  const [folder, base] = isInside ? [whole, '.'] : [path.posix.dirname(whole), whole.slice(whole.lastIndexOf('/', whole.length - 2) + 1)]
  return { stat, send: (to) => withSandbox(container, (sandbox) => sendTar(sandbox, folder, [base], to)) }
}

/**
 * Unpacks a tar, compressed or not, into a directory. No bytes at all are an empty one. `keepKinds`: a directory and what is none never
 * replace each other.
 */
export function archivePut(container: Container, name: string, folder: string, tar: Readable, keepKinds: boolean): Promise<void> {
  return withSandbox(container, async (sandbox) => {
    const whole = absolute(folder)
    const stat = await statIn(sandbox, name, path.posix.join(whole, '/.')).catch(async (error: ApiError) => {
      await statIn(sandbox, name, folder) // a file, or nothing at all
      throw ApiError.badRequest('extraction point is not a directory', { cause: error })
    })
    if (stat.mode < 2 ** 31) throw ApiError.badRequest('extraction point is not a directory')
    const resolved = ((await output(sandbox, ['readlink', '-f', whole])) ?? whole).trim()
    checkWritable(container, resolved)
    const process = await run(sandbox, ['tar', '-C', whole, '-xf', '-'])
    const said = text(process.stderr!)
    process.stdout!.resume()
    let length = 0
    const plain = decompress(tar)
    const counted = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of keepKinds ? guardOverwrites(plain, resolved, (directory) => listIn(sandbox, directory)) : plain) {
        length += chunk.length
        yield chunk
      }
    }
    // A tar that fails closes its end: what it says is the better message.
    const failure = await pipeline(counted, process.stdin!).catch((error: Error) => error)
    const { code } = await process.wait()
    if (failure instanceof ImageError || failure instanceof ApiError) throw failure
    if (code !== 0 && length > 0) throw ApiError.internal(`Error processing tar file(exit status 1): ${(await said).trim()}`)
  })
}

/** Docker asks what was configured, not the kernel. `folder` without links. Throws ApiError. */
function checkWritable({ mounts, hostConfig }: Container, folder: string): void {
  const above = mounts.filter(({ Destination }) => folder === Destination || folder.startsWith(`${Destination}/`))
  const mount = above.sort((a, b) => b.Destination.length - a.Destination.length)[0]
  if (mount?.RW === false) throw ApiError.internal('mounted volume is marked read-only')
  if (mount === undefined && hostConfig.ReadonlyRootfs) throw ApiError.internal('container rootfs is marked read-only')
}

/** A tar of everything but the kernel's file systems. Not by an option: busybox has none for it. */
export function exportRoot(container: Container, to: Writable): Promise<void> {
  return withSandbox(container, async (sandbox) => {
    const names = ((await output(sandbox, ['ls', '-A', '/'])) ?? '')
      .split('\n')
      .filter((name) => name !== '' && !NOT_EXPORTED.includes(name))
    await sendTar(sandbox, '/', names, to)
  })
}

/** What the container's layer has over those of its image. */
export async function fileChanges(container: Container): Promise<FileChange[]> {
  const { layers } = container.image
  const below = layers === 'host' ? ['/'] : layers
  const isBelow = async (file: string): Promise<boolean> => {
    for (const layer of below)
      if (
        await lstat(`${layer}${file}`)
          .then(() => true)
          .catch(() => false)
      )
        return true
    return false
  }
  const changes: FileChange[] = []
  const walk = async (folder: string): Promise<void> => {
    const names = await readdir(`${container.directory}/root/upper${folder}`).catch(() => [])
    for (const name of names.sort()) {
      const file = `${folder}/${name}`
      const stat = await lstat(`${container.directory}/root/upper${file}`)
      if (MOUNTED.includes(file) && (stat.isDirectory() || stat.size === 0)) continue
      const found = changes.length
      // overlayfs writes a removed file as a character device 0:0.
      if (stat.isCharacterDevice() && stat.rdev === 0) changes.push({ Path: file, Kind: 2 })
      else changes.push({ Path: file, Kind: (await isBelow(file)) ? 0 : 1 })
      if (stat.isDirectory()) await walk(file)
      // Nothing but our own files in it.
      if (file === '/etc' && changes.length === found + 1) changes.pop()
    }
  }
  await walk('')
  return changes
}

/** From the root, where relative paths begin, without '.' and '..'. The end says whether a link is followed, so '/' and '/.' stay there. */
function absolute(file: string): string {
  const clean = path.posix.resolve('/', file)
  const isRoot = clean === '/'
  if (path.posix.basename(file) === '.' && !file.endsWith('/')) return isRoot ? '/.' : `${clean}/.`
  return file.endsWith('/') && !isRoot ? `${clean}/` : clean
}

async function statIn(sandbox: Sandbox, name: string, file: string): Promise<PathStat> {
  const asked = absolute(file)
  const found = await output(sandbox, ['stat', '-c', '%f %s %Y', asked])
  if (found === null) throw ApiError.notFound(`Could not find the file ${file} in container ${name}`)
  const [mode, size, seconds] = found.trim().split(' ')
  const bits = Number.parseInt(mode!, 16)
  const isLink = (bits & 0o170000) === 0o120000
  return {
    name: asked === '/' ? '/' : path.posix.basename(asked),
    size: Number(size),
    mode: goFileMode(bits),
    mtime: new Date(Number(seconds) * 1000).toISOString().replace('.000Z', 'Z'),
    linkTarget: isLink ? ((await output(sandbox, ['readlink', '-f', asked])) ?? '').trim() : ''
  }
}

async function listIn(sandbox: Sandbox, directory: string): Promise<Map<string, boolean>> {
  const find = ['find', path.posix.join(directory, '/.'), '-mindepth', '1', '-maxdepth', '1']
  const names = async (...test: string[]): Promise<string[]> => {
    const found = (await output(sandbox, [...find, ...test, '-print0'])) ?? ''
    return found.split('\0').slice(0, -1)
  }
  const [folders, others] = [await names('-type', 'd'), await names('!', '-type', 'd')]
  const entries = [...folders.map((file) => [file, true] as const), ...others.map((file) => [file, false] as const)]
  return new Map(entries.map(([file, isDirectory]) => [path.posix.basename(file), isDirectory]))
}

function goFileMode(bits: number): number {
  const special = (bits & 0o4000 ? 2 ** 23 : 0) + (bits & 0o2000 ? 2 ** 22 : 0) + (bits & 0o1000 ? 2 ** 20 : 0)
  return (TYPE_BITS.get(bits & 0o170000) ?? 0) + special + (bits & 0o777)
}

async function sendTar(sandbox: Sandbox, folder: string, names: string[], to: Writable): Promise<void> {
  const process = await run(sandbox, ['tar', '-C', folder, '-cf', '-', '--', ...names])
  process.stdin!.end()
  const said = text(process.stderr!)
  await pipeline(process.stdout!, to)
  const { code } = await process.wait()
  // 1: a file changed while it was read, as files do. More cannot be told: the answer is under way.
  if (code !== 0 && code !== 1) throw ApiError.internal((await said).trim())
}

/** What a program wrote; null when it failed. */
async function output(sandbox: Sandbox, argv: string[]): Promise<string | null> {
  const process = await run(sandbox, argv)
  process.stdin!.end()
  process.stderr!.resume()
  const [written, { code }] = await Promise.all([text(process.stdout!), process.wait()])
  return code === 0 ? written : null
}

/** Outside of the container's limits, as Docker's own copying is: also while it is paused. */
async function run(sandbox: Sandbox, argv: string[]): Promise<SandboxProcess> {
  try {
    const process = await sandbox.spawn({ argv, env: ENV, cwd: '/', stdio: 'pipe', outsideLimits: true })
    void process.wait().then(
      () => sandbox.forget(process.id).catch(() => {}),
      () => {}
    )
    return process
  } catch (error) {
    if ((error as SandboxError).code !== 'ENOENT') throw error
    throw ApiError.notImplemented(`files of this image cannot be copied, it has no ${argv[0]}`, { cause: error })
  }
}

/** With the container's sandbox, or one that has its files and nothing else. */
function withSandbox<T>(container: Container, work: (sandbox: Sandbox) => Promise<T>): Promise<T> {
  const { sandbox, state } = container
  if (sandbox !== null && state.Running) return work(sandbox)
  return container.exclusive(async () => {
    if (container.sandbox !== null) return work(container.sandbox)
    const directory = `${container.directory}/root`
    const root = { image: container.image.layers, directory }
    await mkdir(directory, { recursive: true }) // where it was never started
    const moment = await Sandbox.create({ name: container.id.slice(0, 12), root, mounts: dataMounts(container) })
    try {
      return await work(moment)
    } finally {
      await moment.close()
    }
  })
}

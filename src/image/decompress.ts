/**
 * Undoes what an archive is packed with, told by its first bytes. gzip is done here; bzip2, xz and zstd by the host's own programs,
 * since Node 20 has none of them.
 */
import { spawn } from 'node:child_process'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { ImageError } from './image-error.ts'

type Bytes = AsyncIterable<Uint8Array>

const MAGIC_LENGTH = 6
const MAGICS: readonly { program: string; magic: Uint8Array }[] = [
  { program: 'gzip', magic: Uint8Array.of(0x1f, 0x8b, 0x08) },
  { program: 'bzip2', magic: Uint8Array.of(0x42, 0x5a, 0x68) },
  { program: 'xz', magic: Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00) },
  { program: 'zstd', magic: Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd) }
]

/** The bytes of the archive itself. Errors: ImageError 'failed'. */
export async function* decompress(source: Bytes): Bytes {
  const chunks = source[Symbol.asyncIterator]()
  let head = Buffer.alloc(0)
  try {
    while (head.length < MAGIC_LENGTH) {
      const next = await chunks.next()
      if (next.done === true) break
      head = Buffer.concat([head, next.value])
    }
    const whole = rejoin(head, chunks)
    const packed = MAGICS.find(({ magic }) => head.length >= magic.length && magic.every((byte, at) => head[at] === byte))
    if (packed === undefined) yield* whole
    else if (packed.program === 'gzip') yield* gunzip(whole)
    else yield* unpackWith(packed.program, whole)
  } finally {
    await chunks.return?.()
  }
}

async function* rejoin(head: Uint8Array, rest: AsyncIterator<Uint8Array>): Bytes {
  if (head.length > 0) yield head
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
}

async function* gunzip(source: Bytes): Bytes {
  const unzip = createGunzip()
  const feeding = pipeline(Readable.from(source), unzip).catch((error: Error) => error)
  try {
    yield* unzip as Bytes
  } catch (error) {
    throw new ImageError('failed', `the archive is damaged: ${(error as Error).message}`, { cause: error })
  } finally {
    unzip.destroy()
    await feeding
  }
}

async function* unpackWith(program: string, source: Bytes): Bytes {
  const child = spawn(program, ['-dc'], { stdio: ['pipe', 'pipe', 'pipe'] })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, 1000)
  })
  const ended = new Promise<Error | number | null>((resolve) => {
    child.once('error', resolve)
    child.once('close', resolve)
  })
  const feeding = pipeline(Readable.from(source), child.stdin).catch((error: Error) => error)
  try {
    yield* child.stdout as Bytes
    const end = await ended
    if (end instanceof Error) throw missing(program, end)
    // A program that stopped reading says why itself; else what went wrong is the archive's source.
    const sourceError = await feeding
    if (end !== 0) throw new ImageError('failed', `the archive is damaged: ${program}: ${complaint.trim() || `exit ${end}`}`)
    if (sourceError instanceof Error) throw sourceError
  } finally {
    child.stdin.destroy()
    child.kill('SIGKILL')
    await ended
    await feeding
  }
}

function missing(program: string, cause: Error): ImageError {
  return new ImageError('failed', `the archive is packed with ${program}, which is not installed here: ${cause.message}`, { cause })
}

/**
 * `noOverwriteDirNonDir` of an upload: what is a directory stays one, and what is none does not become one. `docker cp` always asks
 * for it. The archive is looked at as it passes, ahead of the container's own tar, which would decide otherwise.
 */
import path from 'node:path'
import { Parser, type ReadEntry } from 'tar'
import { ApiError } from '../../api/api-error.ts'

/** What there is in a directory of the container, links not followed: whether a name is a directory. Empty for a missing one. */
export type ListDirectory = (directory: string) => Promise<Map<string, boolean>>

/**
 * Passes a tar (not compressed) on that is unpacked in `folder`, which is given without links. A part with a refused entry is not passed
 * on at all, so entries just before that one may be missing where Docker would have unpacked them. A directory is listed once, at the
 * first entry in it: later ones are compared with what the archive itself made, too. Throws ApiError 500 with Docker's text.
 */
export async function* guardOverwrites(tar: AsyncIterable<Uint8Array>, folder: string, list: ListDirectory): AsyncGenerator<Uint8Array> {
  const listed = new Map<string, Map<string, boolean>>()
  const check = async (name: string, isDirectory: boolean): Promise<void> => {
    const target = path.posix.resolve(folder, `.${path.posix.resolve('/', name)}`)
    if (target === folder) return
    const parent = path.posix.dirname(target)
    const siblings = listed.get(parent) ?? (await list(parent))
    listed.set(parent, siblings)
    const base = path.posix.basename(target)
    const was = siblings.get(base)
    if (was === true && !isDirectory) throw refusal(`cannot overwrite directory "${target}" with non-directory "${folder}"`)
    if (was === false && isDirectory) throw refusal(`cannot overwrite non-directory "${target}" with directory "${folder}"`)
    siblings.set(base, isDirectory)
    // A new directory is empty: whole trees that are new are not listed.
    if (was === undefined && isDirectory) listed.set(target, new Map())
  }
  const passing: ReadEntry[] = []
  const parser = new Parser({
    onReadEntry: (entry) => {
      passing.push(entry)
      entry.resume()
    }
  })
  for await (const chunk of tar) {
    parser.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length))
    for (const { path: name, type } of passing.splice(0)) await check(name, type === 'Directory')
    yield chunk
  }
}

/** Docker unpacks in a process of its own, whose exit status is part of the text. */
function refusal(reason: string): ApiError {
  return ApiError.internal(`Error processing tar file(exit status 1): ${reason}`)
}

import { mkdirSync, statSync } from 'node:fs'
import path from 'node:path'

/**
 * Makes a folder and those above it that are missing, as `mkdir -p` does. Throws the system's error.
 *
 * Node's own `recursive` goes on for ever where a folder is there and its file system answers ENOENT to a new one, as /proc does.
 */
export function makeFolder(folder: string, mode = 0o777): void {
  const missing: string[] = []
  let at = path.resolve(folder)
  for (; statSync(at, { throwIfNoEntry: false }) === undefined; at = path.dirname(at)) missing.push(at)
  if (missing.length === 0 && !statSync(at).isDirectory()) mkdirSync(at) // says EEXIST
  for (const each of missing.reverse()) {
    try {
      mkdirSync(each, { mode })
    } catch (error) {
      // Somebody else was faster.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

/** Where a daemon keeps what is no record: the folders of its state directory. */
import { createHash } from 'node:crypto'
import path from 'node:path'
import { makeFolder } from '../store/make-folder.ts'

export interface Directories {
  readonly state: string
  readonly containers: string
  readonly volumes: string
  readonly images: string
  /** Sockets of shims. */
  readonly run: string
}

/** sun_path of unix(7) less '/' and the twelve digits and five letters of a shim's socket. */
const LONGEST_RUN_PATH = 107 - 18

/**
 * Makes them. Sockets go into the state directory as well, unless its path is too long for them; then below `runtime`, in a folder
 * named after the state directory, which the next daemon on it finds again.
 */
export function makeDirectories(state: string, runtime: string): Directories {
  const inState = path.join(state, 'run')
  const name = createHash('sha256').update(state).digest('hex').slice(0, 16)
  const run = Buffer.byteLength(inState) <= LONGEST_RUN_PATH ? inState : path.join(runtime, name)
  const directories = {
    state,
    containers: path.join(state, 'containers'),
    volumes: path.join(state, 'volumes'),
    images: path.join(state, 'images'),
    run
  }
  makeFolder(state, 0o711)
  makeFolder(run, 0o700)
  return directories
}

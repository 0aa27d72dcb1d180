/**
 * Finds and loads the addon. Everything but TAPs, namespaces and sandboxes works without it, so its absence is an error only
 * for who asks for those.
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import type { NativeBinding } from './native-binding.ts'

/** Where node-gyp puts its work, relative to the package's root. */
const PLACES = ['build/Release/netloom_native.node', 'build/Debug/netloom_native.node']

export interface LoadAttempt {
  readonly path: string
  readonly reason: string
}

export class NativeUnavailableError extends Error {
  readonly code = 'ERR_NATIVE_UNAVAILABLE'
  readonly attempts: readonly LoadAttempt[]

  constructor(attempts: readonly LoadAttempt[]) {
    const list = attempts.map((attempt) => `  ${attempt.path}: ${attempt.reason}`).join('\n')
    super(
      `the native addon could not be loaded, so there are no TAP devices and no sandboxes. Tried:\n${list}\n` +
        'To build it, install a C++ compiler and Python 3, then run: npm rebuild'
    )
    this.name = 'NativeUnavailableError'
    this.attempts = attempts
  }
}

let loaded: NativeBinding | NativeUnavailableError | undefined

/** The addon, loaded once per thread. Throws NativeUnavailableError. NETLOOM_NO_NATIVE=1 hides it. */
export function loadNative(): NativeBinding {
  if (process.env['NETLOOM_NO_NATIVE'] === '1') {
    throw new NativeUnavailableError([{ path: 'netloom_native.node', reason: 'hidden by NETLOOM_NO_NATIVE=1' }])
  }
  loaded ??= load(packageRoot(import.meta.dirname))
  if (loaded instanceof NativeUnavailableError) throw loaded
  return loaded
}

/** The addon, or null where it cannot be loaded. */
export function tryLoadNative(): NativeBinding | null {
  try {
    return loadNative()
  } catch (error) {
    if (error instanceof NativeUnavailableError) return null
    throw error
  }
}

/** Tries each place under `root`: for `loadNative`, and for tests of what it says. */
export function load(root: string): NativeBinding | NativeUnavailableError {
  const require = createRequire(import.meta.url)
  const attempts: LoadAttempt[] = []
  for (const place of PLACES) {
    const file = path.join(root, place)
    if (!existsSync(file)) {
      attempts.push({ path: file, reason: 'no such file' })
      continue
    }
    try {
      return require(file) as NativeBinding
    } catch (error) {
      attempts.push({ path: file, reason: (error as Error).message })
    }
  }
  return new NativeUnavailableError(attempts)
}

/** The nearest folder upwards with a package.json: this file runs from dist/src/io and from src/io. */
function packageRoot(from: string): string {
  for (let folder = from; ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'package.json')) || folder === path.dirname(folder)) return folder
  }
}

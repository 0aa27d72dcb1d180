/** What `npm ci` builds: the addon and the shim. */
import { NativeUnavailableError } from '../../io/load-native.ts'
import { SandboxError } from '../../sandbox/sandbox-error.ts'
import { type Check, fail, ok } from './check.ts'
import type { Machine } from './machine.ts'

export function howToBuild(machine: Machine): string {
  return `${machine.uid === 0 ? '' : 'sudo '}apt-get install g++ make python3\nnpm rebuild`
}

/** How the parts are found; tests give their own. */
export interface NativeParts {
  /** Throws NativeUnavailableError with the paths that it tried. */
  loadNative(): unknown
  /** The shim's path. Throws SandboxError ERR_SHIM_MISSING with the paths that it tried. */
  findShim(): string
  /** The path of the user uplink's helper. Throws as `findShim`. */
  findUplink(): string
}

export function checkAddon(machine: Machine, { loadNative }: NativeParts): Check {
  try {
    loadNative()
    return ok('addon', 'the native addon is loaded')
  } catch (error) {
    if (!(error instanceof NativeUnavailableError)) throw error
    const tried = error.attempts.map((attempt) => `${attempt.path}: ${attempt.reason}`).join('\n')
    return fail('addon', `the native addon cannot be loaded. Tried:\n${tried}`, howToBuild(machine))
  }
}

export function checkShim(machine: Machine, { findShim }: NativeParts): Check {
  try {
    const file = findShim()
    if (machine.may(file, 'x')) return ok('shim', file)
    return fail('shim', `${file} cannot be executed`, `chmod +x ${file}\nor install on a file system that is not mounted noexec`)
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error
    return fail('shim', error.message, howToBuild(machine))
  }
}

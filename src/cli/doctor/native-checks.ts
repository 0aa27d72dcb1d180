/** What `npm ci` builds: the addon and the shim. */
import path from 'node:path'
import { NativeUnavailableError } from '../../io/load-native.ts'
import { type Check, fail, ok } from './check.ts'
import type { Machine } from './machine.ts'

function howToBuild(machine: Machine): string {
  return `${machine.uid === 0 ? '' : 'sudo '}apt-get install g++ make python3\nnpm rebuild`
}

/** Where node-gyp puts the shim, relative to the package. */
const SHIM = 'build/Release/netloom-shim'

/** `loadNative` throws NativeUnavailableError with the paths that it tried. */
export function checkAddon(machine: Machine, loadNative: () => unknown): Check {
  try {
    loadNative()
    return ok('addon', 'the native addon is loaded')
  } catch (error) {
    if (!(error instanceof NativeUnavailableError)) throw error
    const tried = error.attempts.map((attempt) => `${attempt.path}: ${attempt.reason}`).join('\n')
    return fail('addon', `the native addon cannot be loaded. Tried:\n${tried}`, howToBuild(machine))
  }
}

export function checkShim(machine: Machine): Check {
  const file = path.join(machine.root, SHIM)
  if (!machine.exists(file)) return fail('shim', `there is no ${file}, which starts sandboxes`, howToBuild(machine))
  if (!machine.may(file, 'x'))
    return fail('shim', `${file} cannot be executed`, `chmod +x ${file}\nor install on a file system that is not mounted noexec`)
  return ok('shim', file)
}

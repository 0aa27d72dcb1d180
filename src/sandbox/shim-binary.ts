import { existsSync } from 'node:fs'
import path from 'node:path'
import { SandboxError } from './sandbox-error.ts'

/** Where node-gyp puts programs, relative to the package's root. */
const FOLDERS = ['build/Release', 'build/Debug']

/** The shim's path. Throws SandboxError ERR_SHIM_MISSING with the paths that were tried. */
export function findShim(root?: string): string {
  return findProgram('netloom-shim', 'there are no sandboxes', root)
}

/** The path of the user uplink's helper. Throws SandboxError as `findShim`. */
export function findUplink(root?: string): string {
  return findProgram('netloom-uplink', 'there is no user uplink', root)
}

/** The path of one of our native programs; `lack` says what cannot be without it. Throws SandboxError ERR_SHIM_MISSING. */
function findProgram(name: string, lack: string, root: string = packageRoot(import.meta.dirname)): string {
  const tried = FOLDERS.map((folder) => path.join(root, folder, name))
  const found = tried.find((candidate) => existsSync(candidate))
  if (found !== undefined) return found
  throw new SandboxError(
    'ERR_SHIM_MISSING',
    `the ${name} executable was not found, so ${lack}. Tried:\n${tried.map((file) => `  ${file}`).join('\n')}\n` +
      'To build it, install a C++ compiler and Python 3, then run: npm rebuild'
  )
}

/** The nearest folder upwards with a package.json: this file runs from dist/src/sandbox and from src/sandbox. */
function packageRoot(from: string): string {
  for (let folder = from; ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'package.json')) || folder === path.dirname(folder)) return folder
  }
}

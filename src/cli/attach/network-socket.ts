/**
 * Where the process that holds a foreground network listens: one socket per network and user.
 */
import { statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { makeFolder } from '../../store/make-folder.ts'
import { CliError, usageError } from '../cli-error.ts'

/** `/run/netloom` as root, else `$XDG_RUNTIME_DIR/netloom`, else a folder of the user's own in the temporary folder. */
export function runtimeFolder(env: NodeJS.ProcessEnv): string {
  if (env['NETLOOM_RUNTIME_DIR']) return path.resolve(env['NETLOOM_RUNTIME_DIR'])
  const uid = process.getuid?.() ?? 0
  if (uid === 0) return '/run/netloom'
  return env['XDG_RUNTIME_DIR'] ? path.join(env['XDG_RUNTIME_DIR'], 'netloom') : path.join(tmpdir(), `netloom-user-${uid}`)
}

/** Makes the folder for this user alone. Throws CliError when somebody else has it. */
export function networkSocket(network: string, env: NodeJS.ProcessEnv): string {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(network)) {
    throw usageError(`network name '${network}' is invalid`, 'begin with a letter or digit and use only [a-zA-Z0-9_.-]')
  }
  const folder = runtimeFolder(env)
  makeFolder(folder, 0o700)
  const { uid, mode } = statSync(folder)
  if (uid !== process.getuid?.() || (mode & 0o077) !== 0) {
    throw new CliError(`${folder} is open to other users`, {
      code: 'ERR_RUNTIME_FOLDER',
      fix: `chmod 700 ${folder}, or set NETLOOM_RUNTIME_DIR`
    })
  }
  const socket = path.join(folder, `${network}.sock`)
  // sun_path holds 108 bytes with its NUL.
  if (Buffer.byteLength(socket) > 107) throw usageError(`network name '${network}' is too long: its socket ${socket} has no room`)
  return socket
}

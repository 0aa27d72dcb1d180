import { readdir, rm } from 'node:fs/promises'
import { Sandbox } from '../../sandbox/sandbox.ts'
import type { SurvivingMode } from '../../sandbox/sandbox-options.ts'

/** Twelve digits of the container's id. */
const SHIM_SOCKET = /^[0-9a-f]{12}\.sock$/

/** Ends a shim, whatever state it is in; a socket that nobody listens on is removed. */
export async function endShim(name: string, mode: SurvivingMode): Promise<void> {
  const sandbox = await Sandbox.reconnect(name, mode).catch(() => null)
  await sandbox?.close()
  await rm(mode.surviving, { force: true })
}

/**
 * Ends all shims whose sockets are in a directory but those of the containers whose ids begin with one of `except`.
 * @param stateDirectory where shims keep what they know
 */
export async function endShims(runDirectory: string, stateDirectory: string, except: ReadonlySet<string> = new Set()): Promise<void> {
  const names = (await readdir(runDirectory)).filter((name) => SHIM_SOCKET.test(name) && !except.has(name.slice(0, name.indexOf('.'))))
  await Promise.all(names.map((name) => endShim(name, { surviving: `${runDirectory}/${name}`, stateDir: stateDirectory })))
}

// Starts machine-guest.ts with /dev/net/tun open to everybody in the process's own mount namespace; the machine's stays.
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { TestNamespace } from './test-namespace.ts'

const GUEST = fileURLToPath(new URL('machine-guest.js', import.meta.url))

export interface GuestOptions {
  readonly tap: string
  /** Id of the user who opens the TAP. */
  readonly user: number
  /** With prefix length. */
  readonly address: string
  readonly mac?: string
}

/** `folder` is an empty one, over which the process mounts. */
export function startGuest(netns: TestNamespace, folder: string, options: GuestOptions): ChildProcess {
  const { tap, user, address, mac = '02:cc:00:00:00:02' } = options
  const shell = `
    mount -t tmpfs none ${folder} && mknod ${folder}/tun c 10 200 && chmod 666 ${folder}/tun &&
    mount --bind ${folder}/tun /dev/net/tun && exec "$@"`
  return netns.start('unshare', '-m', 'sh', '-c', shell, 'sh', process.execPath, GUEST, tap, String(user), address, mac)
}

/** Lines of a process's output, one at a time; '' at the end. */
export function linesOf(child: ChildProcess): () => Promise<string> {
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  return async () => (await lines.next()).value ?? ''
}

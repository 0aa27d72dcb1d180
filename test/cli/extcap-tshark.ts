/** The real tshark with a folder of extcap programs of our own. */
import { spawnSync } from 'node:child_process'

/** Why it cannot be; false when it can. */
export function tsharkMissing(): string | false {
  if (spawnSync('tshark', ['--version']).status !== 0) return 'tshark is not installed'
  return process.getuid?.() === 0 && spawnSync('unshare', ['--mount', 'true']).status !== 0 ? 'no mount namespaces here' : false
}

/**
 * To be run with WIRESHARK_EXTCAP_DIR set to `folder`. As root, tshark does not heed that: it gets the folder of the machine with ours
 * over it, in a mount namespace of its own.
 */
export function tsharkCommand(folder: string): string[] {
  if (process.getuid?.() !== 0) return ['tshark']
  const { stdout } = spawnSync('tshark', ['-G', 'folders'], { encoding: 'utf8' })
  const machine = /^(?:Global )?Extcap path:\s*(\S+)/m.exec(stdout ?? '')?.[1] ?? ''
  return ['unshare', '--mount', 'sh', '-c', 'mount --bind "$1" "$2" && shift 2 && exec tshark "$@"', 'sh', folder, machine]
}

import { SandboxError } from './sandbox-error.ts'

export interface HostsEntry {
  readonly address: string
  /** At least one; the first is the canonical name. */
  readonly names: readonly string[]
}

/** What Docker writes first (recorded from a real daemon). */
export const STANDARD_HOSTS = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`

/** resolv.conf of a sandbox on a user-defined network: the service of DESIGN.md section 6. */
export const EMBEDDED_RESOLV_CONF = 'nameserver 127.0.0.11\noptions ndots:0\n'

/** The text of /etc/hosts. Throws SandboxError EINVAL for an entry that would break the file. */
export function renderHosts(entries: readonly HostsEntry[]): string {
  const lines = entries.map(({ address, names }) => {
    for (const word of [address, ...names]) {
      if (word === '' || /[\s#]/.test(word)) throw new SandboxError('EINVAL', `hosts entry ${address}: '${word}' is not a word`)
    }
    if (names.length === 0) throw new SandboxError('EINVAL', `hosts entry ${address} has no name`)
    return `${address}\t${names.join(' ')}\n`
  })
  return STANDARD_HOSTS + lines.join('')
}

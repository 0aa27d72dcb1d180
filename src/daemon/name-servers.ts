/** `--dns`, `--dns-search` and `--dns-opt` of the daemon: what containers get that ask for nothing themselves. */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { HOST_FILES, type HostFiles } from '../docker/network/container-files.ts'
import { plainText } from '../docker/network/resolv-conf-file.ts'
import type { DaemonConfig } from './daemon-config.ts'

type NameConfig = Pick<DaemonConfig, 'dns' | 'dns-search' | 'dns-opts'>

/**
 * The files that stand for the host's: its own, or with settings of the daemon's a resolv.conf in `directory` that has them in place
 * of the host's.
 */
export function hostFiles(config: NameConfig, directory: string): HostFiles {
  const flags = { Dns: config.dns, DnsSearch: config['dns-search'], DnsOptions: config['dns-opts'] }
  if (Object.values(flags).every((values) => values.length === 0)) return HOST_FILES
  const file = path.join(directory, 'resolv.conf')
  writeFileSync(file, plainText(readHostFile(), flags, true))
  return { ...HOST_FILES, resolvConf: file }
}

function readHostFile(): string {
  try {
    return readFileSync(HOST_FILES.resolvConf, 'utf8')
  } catch {
    // No file: resolv.conf(5) has defaults.
    return ''
  }
}

/**
 * hosts, hostname and resolv.conf in a container's directory: mounted into it, rewritten in place while it runs.
 */
import { copyFile, link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { addHosts, type HostsLine, hostsText, moveHost, ownNames, removeHosts } from './hosts-file.ts'
import type { NetworkedContainer } from './networked-container.ts'
import { embeddedText, hasDnsFlags, plainText } from './resolv-conf-file.ts'

/** The host's own, for containers without a network of their own. */
export interface HostFiles {
  readonly hosts: string
  readonly resolvConf: string
}

export const HOST_FILES: HostFiles = { hosts: '/etc/hosts', resolvConf: '/etc/resolv.conf' }

const STUB_RESOLVER = /^\s*nameserver\s+127\.0\.0\.53\s*$/m
/** The servers that systemd's stub asks, which containers cannot reach on the host's loopback. */
const BEHIND_STUB = '/run/systemd/resolve/resolv.conf'

export class ContainerFiles {
  private readonly host: HostFiles

  constructor(host: HostFiles = HOST_FILES) {
    this.host = host
  }

  /** For a start. `lines`: extra hosts and links. */
  async write(container: NetworkedContainer, lines: readonly HostsLine[], hasIpv6: boolean): Promise<void> {
    const { directory, config, hostConfig } = container
    const isHost = hostConfig.NetworkMode === 'host'
    await mkdir(directory, { recursive: true })
    await writeFile(path.join(directory, 'hostname'), `${config.Hostname}\n`)
    const hosts = isHost && lines.length === 0 ? await readHost(this.host.hosts) : hostsText(lines)
    await writeFile(path.join(directory, 'hosts'), hosts)
    const resolvConf = await this.resolvConf()
    const text = isHost && !hasDnsFlags(hostConfig) ? resolvConf : plainText(resolvConf, hostConfig, hasIpv6)
    await writeFile(path.join(directory, 'resolv.conf'), text)
  }

  /** The files of another container: hard links, so that what is rewritten there is seen here. */
  async share(container: NetworkedContainer, other: NetworkedContainer): Promise<void> {
    await mkdir(container.directory, { recursive: true })
    for (const name of ['hostname', 'hosts', 'resolv.conf']) {
      const [from, to] = [path.join(other.directory, name), path.join(container.directory, name)]
      await rm(to, { force: true })
      await link(from, to).catch(() => copyFile(from, to))
    }
  }

  /** From now on names are asked of 127.0.0.11. */
  async embedDns(container: NetworkedContainer): Promise<void> {
    const file = path.join(container.directory, 'resolv.conf')
    await writeFile(file, embeddedText(await readFile(file, 'utf8')))
  }

  addOwnHosts(container: NetworkedContainer, addresses: readonly string[]): Promise<void> {
    const names = ownNames(container.config.Hostname, container.config.Domainname)
    const given = addresses.filter((address) => address !== '')
    return addHosts(
      path.join(container.directory, 'hosts'),
      given.map((address) => ({ address, names }))
    )
  }

  removeHosts(container: NetworkedContainer, names: ReadonlySet<string>): Promise<void> {
    return removeHosts(path.join(container.directory, 'hosts'), names)
  }

  moveLink(container: NetworkedContainer, alias: string, address: string): Promise<void> {
    return moveHost(path.join(container.directory, 'hosts'), alias, address)
  }

  /** The host's resolv.conf; where that is only a stub on its loopback, the one behind it. */
  async resolvConf(): Promise<string> {
    const text = await readHost(this.host.resolvConf)
    if (this.host !== HOST_FILES || !STUB_RESOLVER.test(text)) return text
    return (await readHost(BEHIND_STUB)) || text
  }
}

async function readHost(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch {
    return '' // a host without the file has nothing to say
  }
}

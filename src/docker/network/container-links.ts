/**
 * Links of containers on the default bridge: who is linked to whom, and what both ends are told of it.
 */
import { ApiError } from '../../api/api-error.ts'
import type { IccRule } from '../../elements/filter/filter-options.ts'
import type { ContainerFiles } from './container-files.ts'
import { BRIDGE } from './docker-network.ts'
import type { HostsLine } from './hosts-file.ts'
import { linkEnvironment, parseLink } from './legacy-links.ts'
import type { ContainerLookup, NetworkedContainer } from './networked-container.ts'
import { sharedContainer } from './networking-checks.ts'
import { parsePortSpec } from './port-spec.ts'

interface Linked {
  readonly alias: string
  readonly child: NetworkedContainer
}

export class ContainerLinks {
  private readonly containers: ContainerLookup
  private readonly files: ContainerFiles

  constructor(containers: ContainerLookup, files: ContainerFiles) {
    this.containers = containers
    this.files = files
  }

  /** At create: finds the targets, and words the links as inspect shows them. Throws ApiError. */
  prepare(container: NetworkedContainer): void {
    for (const text of container.hostConfig.Links ?? []) {
      const link = parseLink(text)
      if (link === undefined) throw ApiError.internal(`bad format for links: ${text}`)
      const { id, name } = this.target(link.name)
      container.networking.links.push({ alias: link.alias, containerId: id, name })
    }
    this.word(container)
  }

  /** Lines of /etc/hosts. Throws ApiError for a target that is not on the default bridge, or does not run. */
  hosts(container: NetworkedContainer): HostsLine[] {
    return this.linked(container).map(({ alias, child }) => ({
      address: bridgeAddress(child),
      names: [alias, child.config.Hostname, ...(alias === child.name ? [] : [child.name])].join(' ')
    }))
  }

  /** Throws ApiError as `hosts`. */
  environment(container: NetworkedContainer): string[] {
    return this.linked(container).flatMap(({ alias, child }) =>
      linkEnvironment({
        alias,
        linkName: `/${container.name}/${alias}`,
        address: bridgeAddress(child),
        env: child.config.Env ?? [],
        exposedPorts: Object.keys(child.config.ExposedPorts ?? {})
      })
    )
  }

  /** Whoever runs and is linked to this container gets its new address into /etc/hosts. */
  async tellParents(container: NetworkedContainer): Promise<void> {
    const address = bridgeAddress(container)
    if (address === '') return
    for (const parent of this.parents(container)) {
      for (const { alias, containerId } of parent.networking.links) {
        if (parent.state.Running && containerId === container.id) await this.files.moveLink(parent, alias, address)
      }
    }
  }

  /**
   * What links open for a container on a default bridge without inter-container communication: the exposed ports of those that it is
   * linked to, and its own for those that are linked to it. IPv4, as Docker's rules are.
   */
  openings(container: NetworkedContainer): IccRule[] {
    const outward = container.networking.links.flatMap(({ containerId }) => {
      const child = this.find(containerId)
      return child === undefined
        ? []
        : exposedPorts(child).map((port) => ({ direction: 'out' as const, address: bridgeAddress(child), ...port }))
    })
    const inward = this.parents(container).flatMap((parent) =>
      exposedPorts(container).map((port) => ({ direction: 'in' as const, address: bridgeAddress(parent), ...port }))
    )
    return [...outward, ...inward].filter(({ address }) => address !== '')
  }

  /** Both ends of its links: those that it is linked to, and those that are linked to it. */
  counterparts(container: NetworkedContainer): NetworkedContainer[] {
    const children = container.networking.links.flatMap(({ containerId }) => this.find(containerId) ?? [])
    return [...new Set([...children, ...this.parents(container)])]
  }

  /** A new name is seen in the links of both ends. */
  renamed(container: NetworkedContainer): void {
    this.word(container)
    for (const parent of this.parents(container)) this.word(parent)
  }

  private word(container: NetworkedContainer): void {
    const { links } = container.networking
    if (links.length === 0) return
    for (const link of links) link.name = this.find(link.containerId)?.name ?? link.name
    container.hostConfig.Links = links.map(({ alias, name }) => `/${name}:/${container.name}/${alias}`)
  }

  /** A container that shares another's network stands for that one. */
  private target(name: string): NetworkedContainer {
    let child: NetworkedContainer
    try {
      if (name === '') throw ApiError.badRequest('invalid name or ID supplied: ""')
      child = this.containers.find(name)
      for (let mode = sharedContainer(child.hostConfig.NetworkMode); mode !== undefined; ) {
        child = this.containers.find(mode)
        mode = sharedContainer(child.hostConfig.NetworkMode)
      }
    } catch (error) {
      throw ApiError.badRequest(`could not get container for ${name}: ${(error as Error).message}`, { cause: error })
    }
    if (child.hostConfig.NetworkMode !== 'host') return child
    throw ApiError.badRequest("conflicting options: host type networking can't be used with links. This would result in undefined behavior")
  }

  private linked(container: NetworkedContainer): Linked[] {
    const { attachments, links } = container.networking
    if (!attachments.some(({ network }) => network === BRIDGE)) return []
    const linked = links.map(({ alias, containerId, name }) => {
      const child = this.find(containerId)
      if (child === undefined) throw notRunning(name, container, alias)
      return { alias, child }
    })
    for (const { alias, child } of linked) {
      if (!child.networking.attachments.some(({ network }) => network === BRIDGE)) {
        throw ApiError.internal(`Cannot link to /${child.name}, as it does not belong to the default network`)
      }
      if (!child.state.Running) throw notRunning(child.name, container, alias)
    }
    return linked
  }

  private parents({ id }: NetworkedContainer): NetworkedContainer[] {
    return [...this.containers.all()].filter(({ networking }) => networking.links.some(({ containerId }) => containerId === id))
  }

  private find(id: string): NetworkedContainer | undefined {
    try {
      return this.containers.find(id)
    } catch {
      return undefined // it was removed; the link stays, and with it the refusal to start
    }
  }
}

/** Those that a filter knows: SCTP is none of them. */
function exposedPorts({ config }: NetworkedContainer): { protocol: 'tcp' | 'udp'; port: number }[] {
  return Object.keys(config.ExposedPorts ?? {}).flatMap((spec) => {
    const [protocol, number] = parsePortSpec(spec)
    return protocol === 'tcp' || protocol === 'udp' ? [{ protocol, port: Number(number) }] : []
  })
}

/** Also of a target that was removed: a link outlives it. */
function notRunning(target: string, { name }: NetworkedContainer, alias: string): ApiError {
  return ApiError.internal(`Cannot link to a non running container: /${target} AS /${name}/${alias}`)
}

function bridgeAddress({ networking }: NetworkedContainer): string {
  return networking.attachments.find(({ network }) => network === BRIDGE)?.endpoint?.address ?? ''
}

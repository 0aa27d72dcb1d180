/**
 * Connecting and disconnecting containers that run or not, by their users and by other hosts: the container's record says so before an
 * address is free, and what fails is as it was. Throws ApiError with Docker's text.
 */
import { ApiError } from '../../api/api-error.ts'
import type { EndpointConfig } from '../../api/network-json.ts'
import type { ContainerEndpoints } from './container-endpoints.ts'
import type { ContainerFiles } from './container-files.ts'
import type { Attachment } from './container-networking.ts'
import type { DockerNetwork } from './docker-network.ts'
import { attachmentConfig, checkCompanions, checkShareable, completeConfig, HOST_ONLY } from './endpoint-checks.ts'
import type { NetworkService } from './network-service.ts'
import type { ContainerLookup, NetworkedContainer } from './networked-container.ts'

export interface ContainerConnectionsOptions {
  readonly networks: NetworkService
  readonly containers: ContainerLookup
  readonly endpoints: ContainerEndpoints
  readonly files: ContainerFiles
  /** After a container came to a network or left it: what links open follows. */
  readonly openLinked: (container: NetworkedContainer) => Promise<void>
  readonly log: (message: string) => void
}

/** The caller holds the container's lock, but for `evict`. */
export class ContainerConnections {
  private readonly options: ContainerConnectionsOptions

  constructor(options: ContainerConnectionsOptions) {
    this.options = options
  }

  async connect(container: NetworkedContainer, reference: string, wish: EndpointConfig | null): Promise<void> {
    const { networking } = container
    const config = attachmentConfig(wish)
    const isUp = runs(container)
    if (isUp) checkShareable(container)
    const network = isUp ? this.options.networks.find(reference) : this.options.networks.known(reference)
    const attachment: Attachment = { network: network?.name ?? reference, networkId: '', config, endpoint: null }
    const earlier = networking.attachments.find((other) => other.network === attachment.network)
    if (network !== undefined) {
      completeConfig(container, network, config)
      const others = networking.attachments.flatMap((other) => this.options.networks.known(other.networkId || other.network) ?? [])
      checkCompanions(container, network, others)
    }
    const before = networking.attachments
    if (network === undefined || !isUp) return this.record(container, earlier === undefined ? [...before, attachment] : before)
    try {
      await this.plugIn(container, attachment, network)
    } catch (error) {
      if (!network.isOverlay || earlier !== undefined) throw error
      // As recorded: the wish stays, and a later start tries again.
      await this.record(container, [...before, attachment])
      throw error
    }
    try {
      await this.record(container, [...before.filter((other) => other !== earlier), attachment])
    } catch (error) {
      networking.attachments = before
      await this.undoConnect(container, attachment)
      throw error
    }
  }

  async disconnect(container: NetworkedContainer, reference: string, force: boolean): Promise<void> {
    const { networking, hostConfig } = container
    const isUp = runs(container)
    const found = isUp && !force ? this.options.networks.find(reference) : this.options.networks.known(reference)
    const name = found?.name ?? reference
    const attachment = networking.attachments.find((other) => other.network === name)
    // An overlay cannot be found while the cluster's store is away; what is plugged in there is plugged in all the same.
    const network = found ?? (attachment?.endpoint == null ? undefined : this.options.networks.get(attachment.networkId))
    if (!isUp || network === undefined) {
      if (attachment === undefined) throw ApiError.internal(`container ${container.id} is not connected to the network ${name}`)
    } else {
      if (hostConfig.NetworkMode === 'host' && network.record.driver === 'host') throw ApiError.badRequest(HOST_ONLY)
      const isRefused = attachment !== undefined && attachment.endpoint === null && network.isOverlay
      if (attachment?.endpoint == null && !isRefused)
        throw ApiError.internal(`container ${container.id} is not connected to network ${name}`)
      await this.forget(container, attachment)
      if (attachment?.endpoint != null) await this.plugOut(container, attachment)
      // A real daemon tells it twice, and users count.
      this.options.networks.publish(network, 'disconnect', { container: container.id })
    }
    await this.forget(container, attachment)
    if (network !== undefined) this.options.networks.publish(network, 'disconnect', { container: container.id })
  }

  /** Another host removed an endpoint by force: its name and address are, or may be, somebody else's. The container has to let go. */
  async evict(networkId: string, endpointId: string): Promise<void> {
    for (const container of this.options.containers.all()) {
      const isIts = (each: Attachment): boolean => each.networkId === networkId && each.endpoint?.endpointId === endpointId
      if (!container.networking.attachments.some(isIts)) continue
      await container.exclusive(async () => {
        const attachment = container.networking.attachments.find(isIts)
        if (attachment === undefined) return
        this.options.log(`container ${container.name}: another host has removed it from network ${attachment.network}`)
        await this.plugOut(container, attachment)
        await container.save()
      })
    }
  }

  /** Saved, before an address is free: a daemon that is killed between the two must not find it with two containers. */
  private forget(container: NetworkedContainer, attachment: Attachment | undefined): Promise<void> {
    return this.record(
      container,
      container.networking.attachments.filter((other) => other !== attachment)
    )
  }

  /** Other attachments, saved. What cannot be saved is not so: those before stay, and the same can be asked for again. */
  private async record(container: NetworkedContainer, attachments: Attachment[]): Promise<void> {
    const { networking } = container
    const before = networking.attachments
    networking.attachments = attachments
    try {
      await container.save()
    } catch (error) {
      networking.attachments = before
      throw error
    }
  }

  private async plugIn(container: NetworkedContainer, attachment: Attachment, network: DockerNetwork): Promise<void> {
    const [ifname] = this.options.endpoints.nextInterfaces(container, [network])
    await this.options.endpoints.join(container, attachment, network, ifname!)
    const { networking } = container
    const before = networking.attachments
    networking.attachments = [...before, attachment]
    try {
      this.options.networks.confirm(network, attachment.endpoint!.endpointId, container.name)
      await this.options.endpoints.settle(container)
      await this.options.openLinked(container)
    } catch (error) {
      networking.attachments = before
      await this.undoConnect(container, attachment)
      throw error
    }
  }

  /** Undoes a connect whose error says why. */
  private async undoConnect(container: NetworkedContainer, attachment: Attachment): Promise<void> {
    await this.plugOut(container, attachment).catch((left: Error) => this.options.log(`container ${container.name}: ${left.message}`))
  }

  private async plugOut(container: NetworkedContainer, attachment: Attachment): Promise<void> {
    const hadIpv6 = attachment.endpoint?.address6 !== ''
    const wasPlugged = attachment.endpoint?.ifname !== ''
    const names = this.namesOn(attachment.networkId)
    for (const alias of attachment.config.Aliases ?? []) names.add(alias)
    names.delete(container.name)
    try {
      await this.options.endpoints.leave(container, attachment, true)
    } finally {
      // It is gone, though something may be left: what follows from it is done before anybody hears of that.
      if (wasPlugged && names.size > 0) await this.options.files.removeHosts(container, names)
      await this.options.endpoints.settle(container)
      if (hadIpv6) await this.options.endpoints.closeIpv6(container)
      await this.options.openLinked(container)
    }
  }

  /** What is found there by name; on the default bridge nothing is. */
  private namesOn(networkId: string): Set<string> {
    const names = new Set<string>()
    if (this.options.networks.get(networkId)?.isUserDefined !== true) return names
    for (const { name, networking } of this.options.containers.all()) {
      const there = networking.attachments.find((other) => other.networkId === networkId && other.endpoint !== null)
      if (there !== undefined) for (const each of [name, ...(there.config.Aliases ?? [])]) names.add(each)
    }
    return names
  }
}

/** Not so between the end of a process and its restart, which counts as running: there is nothing to plug into. */
function runs({ state, sandbox }: NetworkedContainer): boolean {
  return state.Running && sandbox !== null
}

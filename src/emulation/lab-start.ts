/**
 * From a lab file to what runs: networks, virtual hosts and containers, made through the hosts' own API as any client would.
 */
import type { ContainerInspect } from '../api/container-json.ts'
import type { EndpointConfig } from '../api/network-json.ts'
import type { Client } from '../client/client.ts'
import type { CreateRequest } from '../client/container-calls.ts'
import type { LabFile, PlacedNetwork, PlacedService } from '../compose/lab-file.ts'
import { sleep } from '../engine/index.ts'
import { LabError } from './lab-error.ts'
import { checkReplayFile, playService } from './service-replay.ts'

export interface LabStartOptions {
  readonly file: LabFile
  /** Of a host, by its name. */
  readonly client: (host: string) => Client
  /** Hears what comes next: `web01 on host1`. */
  readonly tell: (done: number, total: number, next: string) => void
  readonly signal: AbortSignal
  /** Hears what went wrong in the background. */
  readonly warn: (problem: string) => void
}

/** Between two looks at the health of a container. */
const LOOK_MS = 100

/** A network that all hosts of a lab see when one has it. */
const GLOBAL_DRIVERS = ['overlay']

export async function startLab({ file, client, tell, signal, warn }: LabStartOptions): Promise<void> {
  const networks = file.networks.flatMap((network) => hostsOf(network).map((host) => ({ network, host })))
  const services = file.services.filter(({ placedOn }) => placedOn !== null)
  const total = networks.length + services.length
  let done = 0
  const step = async (what: string, work: () => Promise<void>): Promise<void> => {
    signal.throwIfAborted()
    tell(done, total, what)
    await work().catch((error: Error) => {
      throw new LabError('ERR_LAB_START', `${what}: ${error.message}`, { cause: error })
    })
    done++
  }
  for (const { network, host } of networks) {
    await step(`network ${network.name} on ${host}`, () => makeNetwork(client(host), network, file.name))
  }
  const start = new ServiceStart(file, client, signal, warn)
  for (const service of services) await step(`${service.name} on ${service.placedOn}`, () => start.start(service))
  tell(done, total, '')
}

function hostsOf({ driver, placedOn }: PlacedNetwork): readonly string[] {
  return GLOBAL_DRIVERS.includes(driver) ? placedOn.slice(0, 1) : placedOn
}

async function makeNetwork(client: Client, { isExternal, name, key, request }: PlacedNetwork, project: string): Promise<void> {
  if (isExternal) {
    await client.networks.inspect(name)
    return
  }
  const Labels = { ...request.Labels, 'com.docker.compose.project': project, 'com.docker.compose.network': key }
  await client.networks.create({ ...request, Labels })
}

class ServiceStart {
  private readonly file: LabFile
  private readonly client: (host: string) => Client
  private readonly signal: AbortSignal
  private readonly warn: (problem: string) => void

  constructor(file: LabFile, client: (host: string) => Client, signal: AbortSignal, warn: (problem: string) => void) {
    this.file = file
    this.client = client
    this.signal = signal
    this.warn = warn
  }

  async start(service: PlacedService): Promise<void> {
    for (const { service: name, condition } of service.dependencies) {
      if (condition === 'service_healthy') await this.isHealthy(this.service(name))
      else if (condition === 'service_completed_successfully') await this.isDone(this.service(name))
    }
    if (service.virtual === null) await this.startContainer(service)
    else await this.attach(service)
  }

  private async startContainer(service: PlacedService): Promise<void> {
    const { containers, networks } = this.client(service.placedOn!)
    const [first, ...others] = this.endpoints(service)
    const { Id } = await containers.create(this.request(service, first), service.containerName)
    for (const [network, config] of others) await networks.connect(network, Id, config)
    await containers.start(Id)
  }

  private request(service: PlacedService, first: [string, EndpointConfig] | undefined): CreateRequest {
    const { request, name, networkMode, links } = service
    const labels = { 'com.docker.compose.project': this.file.name, 'com.docker.compose.service': name }
    const mode = networkMode === undefined ? first![0] : this.mode(networkMode.text())
    // On a network of the file a link is the endpoint's; on the default bridge it is the container's.
    const Links =
      networkMode === undefined ? null : links.map(({ service: target, alias }) => `${this.service(target).containerName}:${alias}`)
    return {
      ...request,
      Labels: { ...service.link?.options, ...request.Labels, ...labels },
      HostConfig: { ...request.HostConfig, NetworkMode: mode, ...(Links !== null && Links.length > 0 && { Links }) },
      ...(first !== undefined && { NetworkingConfig: { EndpointsConfig: { [first[0]]: first[1] } } })
    }
  }

  /** `service:NAME` is Compose's word for a container of the file. */
  private mode(text: string): string {
    return text.startsWith('service:') ? `container:${this.service(text.slice('service:'.length)).containerName}` : text
  }

  /** By the networks' names, in the order in which the container joins them. */
  private endpoints({ networkMode, networks, networkKeys, name, containerName, links }: PlacedService): [string, EndpointConfig][] {
    if (networkMode !== undefined) return []
    const Links = links.map(({ service, alias }) => `${this.service(service).containerName}:${alias}`)
    return networkKeys.map((key) => {
      const { name: network } = this.file.networks.find((other) => other.key === key)!
      const config = networks?.find((other) => other.name === key)?.config ?? {}
      if (network === 'bridge') return [network, config]
      // Found by the service's name too, as with Compose.
      const Aliases = [...(config.Aliases ?? []), ...(containerName === name ? [] : [name])]
      return [network, { ...config, ...(Aliases.length > 0 && { Aliases }), ...(Links.length > 0 && { Links }) }]
    })
  }

  private async attach(service: PlacedService): Promise<void> {
    const [[network, { IPAMConfig, MacAddress, Aliases, DriverOpts = service.link?.options }]] = this.endpoints(service) as [
      [string, EndpointConfig]
    ]
    const { udpEcho, replay } = service.virtual!
    if (replay !== null) await checkReplayFile(replay)
    const client = this.client(service.placedOn!)
    await client.networks.attach({
      network,
      name: service.containerName,
      virtual: { udpEcho: [...udpEcho], silent: replay !== null },
      ...(IPAMConfig?.IPv4Address !== undefined && { ip: IPAMConfig.IPv4Address }),
      ...(IPAMConfig?.IPv6Address !== undefined && { ip6: IPAMConfig.IPv6Address }),
      ...(MacAddress !== undefined && { mac: MacAddress }),
      ...(Aliases != null && { aliases: Aliases }),
      ...(DriverOpts != null && { driverOpts: DriverOpts })
    })
    if (replay === null) return
    const into = `${network}/${service.containerName}`
    playService(client, into, replay, this.signal).catch((error: Error) => {
      if (!this.signal.aborted) this.warn(`${service.name} does not play on: ${error.message}`)
    })
  }

  /** Waits. Rejects with LabError when it ends, or is told to be ill. */
  private async isHealthy(service: PlacedService): Promise<void> {
    for (;;) {
      this.signal.throwIfAborted()
      const { State } = await this.inspect(service)
      if (State.Health === undefined) throw new LabError('ERR_LAB_START', `${service.name} has no health check`)
      if (State.Health.Status === 'healthy') return
      if (State.Health.Status === 'unhealthy') throw new LabError('ERR_LAB_START', `${service.name} is unhealthy`)
      if (!State.Running) throw new LabError('ERR_LAB_START', `${service.name} has ended with ${State.ExitCode}`)
      await sleep(LOOK_MS)
    }
  }

  private async isDone(service: PlacedService): Promise<void> {
    for (;;) {
      this.signal.throwIfAborted()
      const { State } = await this.inspect(service)
      if (!State.Running && State.Status === 'exited') {
        if (State.ExitCode === 0) return
        throw new LabError('ERR_LAB_START', `${service.name} has ended with ${State.ExitCode}`)
      }
      await sleep(LOOK_MS)
    }
  }

  private inspect({ placedOn, containerName }: PlacedService): Promise<ContainerInspect> {
    return this.client(placedOn!).containers.inspect(containerName)
  }

  private service(name: string): PlacedService {
    return this.file.services.find((other) => other.name === name)!
  }
}

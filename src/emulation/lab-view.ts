/** What runs in a lab, asked of its hosts. */
import type { ContainerSummary } from '../api/container-json.ts'
import { Client } from '../client/client.ts'
import type { LabRecord } from './lab-directory.ts'

export interface ServiceView {
  readonly name: string
  readonly host: string
  /** Of the container; '' for a virtual host. */
  readonly id: string
  readonly image: string
  /** As `docker ps` has it: 'Up 2 seconds'; 'virtual'. */
  readonly status: string
  readonly addresses: readonly string[]
}

export interface LabView {
  readonly name: string
  readonly file: string
  readonly status: string
  readonly hosts: readonly (LabRecord['hosts'][number] & {
    readonly networks: readonly { name: string; driver: string; scope: string }[]
  })[]
  readonly services: readonly ServiceView[]
}

const PREDEFINED = ['bridge', 'host', 'none']

/** Rejects with ClientError when a host does not answer. */
export async function viewLab({ name, file, status, hosts }: LabRecord): Promise<LabView> {
  const views = await Promise.all(
    hosts.map(async (host) => {
      const client = new Client(host.socket)
      const [networks, containers] = await Promise.all([client.networks.list(), client.containers.list({ all: true })])
      const own = networks.filter((network) => !PREDEFINED.includes(network.Name))
      // On a network of all hosts the others' containers look the same.
      const local = own.filter(({ Scope }) => Scope === 'local')
      const attached = await Promise.all(local.map(async ({ Id }) => attachedTo(host.name, await client.networks.inspect(Id))))
      return {
        host: { ...host, networks: own.map(({ Name, Driver, Scope }) => ({ name: Name, driver: Driver, scope: Scope })) },
        services: [...containers.map((container) => serviceView(host.name, container)), ...attached.flat()]
      }
    })
  )
  const services = views.flatMap((view) => view.services).sort((a, b) => (a.name < b.name ? -1 : 1))
  return { name, file, status, hosts: views.map(({ host }) => host), services }
}

function serviceView(host: string, { Id, Names, Image, Status, NetworkSettings }: ContainerSummary): ServiceView {
  const endpoints = Object.values(NetworkSettings?.Networks ?? {})
  const addresses = endpoints
    .flatMap(({ IPAddress, GlobalIPv6Address }) => [IPAddress, GlobalIPv6Address])
    .filter((address) => address !== '')
  return { name: Names[0]?.slice(1) ?? '', host, id: Id, image: Image, status: Status, addresses }
}

/** Endpoints that no container owns. */
function attachedTo(host: string, { Containers }: Awaited<ReturnType<Client['networks']['inspect']>>): ServiceView[] {
  return Object.entries(Containers)
    .filter(([owner]) => owner.startsWith('ep-'))
    .map(([, { Name, IPv4Address, IPv6Address }]) => {
      const addresses = [IPv4Address, IPv6Address].filter((address) => address !== '').map((address) => address.split('/')[0]!)
      return { name: Name, host, id: '', image: '', status: 'virtual', addresses }
    })
}

/**
 * A lab file as a whole: what it has, where everything goes, in which order it comes.
 *
 *   text -- Value -- services, networks, surroundings -- placed on hosts -- checked against each other
 */
import path from 'node:path'
import { checkNetworks } from './check-networks.ts'
import { checkServices } from './check-services.ts'
import { checkSurroundings } from './check-surroundings.ts'
import { type Network, readNetwork } from './network.ts'
import { readService, type Service } from './service.ts'
import { startOrder } from './start-order.ts'
import { readSurroundings, type Surroundings } from './surroundings.ts'
import { Value } from './value.ts'

export interface PlacedService extends Service {
  /** Name of the host; null: a virtual host on an underlay. */
  readonly placedOn: string | null
  /** Keys of its networks, the default one where it names none. */
  readonly networkKeys: readonly string[]
}

export interface PlacedNetwork extends Network {
  /** Names of hosts, in the order of the file. */
  readonly placedOn: readonly string[]
}

export type { Host, Place } from './surroundings.ts'

export interface LabFile extends Omit<Surroundings, 'uplink'> {
  /** As `netloom daemon --uplink`; undefined: the daemon's default. */
  readonly uplink: string | undefined
  readonly name: string
  /** In the order in which they are to be started. */
  readonly services: readonly PlacedService[]
  readonly networks: readonly PlacedNetwork[]
}

export interface LabFileOptions {
  /** As it is called in messages; relative paths in it are relative to its folder. */
  readonly file: string
  /** For variables in the text. */
  readonly env: Readonly<NodeJS.ProcessEnv>
  /** In place of the file's own name; checked by the caller. */
  readonly project?: string | undefined
  /** Of the daemon's setting `uplink`: gives it back, or throws. */
  readonly readUplink?: (text: string) => string
}

/** The network of services that name none. */
export const DEFAULT_NETWORK = 'default'

const PROJECT = /^[a-z0-9][a-z0-9_-]*$/

/** Gives a lab's name back. Throws RangeError. */
export function checkProject(text: string): string {
  if (PROJECT.test(text)) return text
  throw new RangeError(`'${text}' is no name of a lab: small letters, digits, '_' and '-'`)
}

/** Throws LabFileError. */
export function readLabFile(text: string, { file, env, project, readUplink = (text) => text }: LabFileOptions): LabFile {
  const whole = Value.parse(text, file, env)
  const directory = path.dirname(path.resolve(file))
  const given = whole.members(['name', 'version', 'services', 'networks', 'volumes', 'x-netloom'])
  const name = project ?? (given.name === undefined ? projectOf(directory) : readProject(given.name))
  const surroundings = readSurroundings(given['x-netloom'], whole, directory)
  const services = [...(given.services?.entries() ?? whole.fail('services are missing'))].map(([key, at]) =>
    readService(key, at, directory)
  )
  if (services.length === 0) given.services!.fail('there is no service')
  const networks = [...(given.networks?.entries() ?? [])].map(([key, at]) => readNetwork(key, at, directory))
  checkVolumes(services, given.volumes)

  const placed = services.map((service) => placeService(service, surroundings))
  if (placed.some(({ networkKeys }) => networkKeys.includes(DEFAULT_NETWORK)) && !networks.some(({ key }) => key === DEFAULT_NETWORK)) {
    networks.push(readNetwork(DEFAULT_NETWORK, given.services!.nothing(`networks.${DEFAULT_NETWORK}`), directory))
  }
  checkServices(placed, networks, surroundings)
  const lab = {
    ...surroundings,
    name,
    uplink: surroundings.uplink?.check(() => readUplink(surroundings.uplink!.word())),
    services: startOrder(placed),
    networks: networks.map((network) => placeNetwork(network, placed, surroundings, name))
  }
  checkSurroundings(lab)
  checkNetworks(lab)
  return lab
}

function readProject(value: Value): string {
  return value.check(() => checkProject(value.word()))
}

/** Of the folder that the file is in, as Compose makes it. */
function projectOf(directory: string): string {
  const name = path
    .basename(directory)
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '')
  return name.replace(/^[_-]+/, '') || 'lab'
}

function checkVolumes(services: readonly Service[], volumes: Value | undefined): void {
  const known = [...(volumes?.entries() ?? [])].map(([name, value]) => {
    if (!value.isNull) value.members(['name', 'labels'])
    return name
  })
  for (const { volumes: used } of services) {
    for (const { name, at } of used.named) {
      if (!known.includes(name))
        at.fail(`there is no volume '${name}': list it under volumes, or write ./${name} for a folder beside the file`)
    }
  }
}

function placeService(service: Service, { hosts }: Surroundings): PlacedService {
  const { networks, networkMode, virtual, host } = service
  if (virtual?.station != null) return { ...service, placedOn: null, networkKeys: [] }
  const keys = networks?.map(({ name }) => name) ?? (networkMode === undefined ? [DEFAULT_NETWORK] : [])
  const names = hosts.map(({ name }) => name)
  if (host === undefined) {
    if (names.length > 1) service.at.fail(`on which host? add x-netloom: { host: ${names[0]} }; there is ${names.join(', ')}`)
    return { ...service, placedOn: names[0]!, networkKeys: keys }
  }
  const name = host.word()
  if (!names.includes(name)) host.fail(`there is no host '${name}'; there is ${names.join(', ')}`)
  return { ...service, placedOn: name, networkKeys: keys }
}

/** Where it is asked to be, else where services are on it, else everywhere. */
function placeNetwork(network: Network, services: readonly PlacedService[], { hosts }: Surroundings, project: string): PlacedNetwork {
  const names = hosts.map(({ name }) => name)
  for (const at of network.hosts ?? []) {
    if (!names.includes(at.word())) at.fail(`there is no host '${at.word()}'; there is ${names.join(', ')}`)
  }
  const asked = network.hosts?.map((at) => at.word())
  const used = new Set(services.filter(({ networkKeys }) => networkKeys.includes(network.key)).map(({ placedOn }) => placedOn))
  for (const { name, placedOn, at, networkKeys } of services) {
    if (asked !== undefined && networkKeys.includes(network.key) && !asked.includes(placedOn!)) {
      at.fail(`${name} is on ${placedOn}, and the network '${network.key}' is on ${asked.join(', ')} only`)
    }
  }
  const placedOn = asked ?? (used.size > 0 ? names.filter((name) => used.has(name)) : names)
  if (network.key !== DEFAULT_NETWORK || network.name !== DEFAULT_NETWORK) return { ...network, placedOn }
  // `default` means the default bridge to Docker.
  const dockerName = `${project}_${DEFAULT_NETWORK}`
  return { ...network, name: dockerName, request: { ...network.request, Name: dockerName }, placedOn }
}

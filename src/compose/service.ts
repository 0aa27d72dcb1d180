/** A service of a lab file: a container, or a virtual host. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { RestartPolicy } from '../api/container-json.ts'
import type { CreateRequest } from '../client/container-calls.ts'
import { readPortMappings } from '../client/port-mappings.ts'
import { parseReference } from '../image/image-reference.ts'
import { splitWords } from '../network/split-words.ts'
import { readAnyAddress, readMac } from './addresses.ts'
import { type LinkSetting, readLink } from './link.ts'
import { readDuration, readHealthcheck } from './service-health.ts'
import { readServiceNetworks, readTexts, type ServiceNetwork } from './service-networks.ts'
import { readVolumes, type ServiceVolumes } from './service-volumes.ts'
import type { Value } from './value.ts'
import { readVirtual, type VirtualHost } from './virtual-host.ts'

/** When a service that another one waits for is there. */
export type Condition = 'service_started' | 'service_healthy' | 'service_completed_successfully'

export interface Dependency {
  readonly service: string
  readonly condition: Condition
  readonly at: Value
}

/** What is said of a service, as far as it can be known without the rest of the file. */
export interface Service {
  readonly name: string
  readonly at: Value
  /** The host that it runs on, where one is named. */
  readonly host: Value | undefined
  readonly containerName: string
  /** undefined: neither networks nor a mode is named. */
  readonly networks: readonly ServiceNetwork[] | undefined
  readonly networkMode: Value | undefined
  /** `[service, alias]`. */
  readonly links: readonly { readonly service: string; readonly alias: string; readonly at: Value }[]
  readonly dependencies: readonly Dependency[]
  readonly volumes: ServiceVolumes
  /** Everything but networks and links. */
  readonly request: CreateRequest
  /** Set: no container. */
  readonly virtual: VirtualHost | null
  /** Of all its networks that say nothing else; of a virtual host on an underlay its cable. */
  readonly link: LinkSetting | undefined
}

const MEMBERS = [
  'image',
  'command',
  'entrypoint',
  'environment',
  'env_file',
  'hostname',
  'domainname',
  'container_name',
  'networks',
  'network_mode',
  'mac_address',
  'ports',
  'expose',
  'links',
  'depends_on',
  'dns',
  'dns_search',
  'dns_opt',
  'extra_hosts',
  'cap_add',
  'cap_drop',
  'privileged',
  'sysctls',
  'restart',
  'volumes',
  'tmpfs',
  'user',
  'working_dir',
  'labels',
  'init',
  'tty',
  'stdin_open',
  'read_only',
  'stop_signal',
  'stop_grace_period',
  'healthcheck',
  'x-netloom'
] as const

type Members = Partial<Record<(typeof MEMBERS)[number], Value>>

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]*$/
const RESTART = /^(no|always|unless-stopped|on-failure(:\d+)?)$/

/** @param directory of the file, which relative paths are relative to */
export function readService(name: string, at: Value, directory: string): Service {
  if (!NAME.test(name)) at.fail(`'${name}' is no name of a service: letters, digits, '.', '_' and '-'`)
  const given = at.members(MEMBERS)
  const ours = given['x-netloom']?.members([
    'host',
    'link',
    'virtual',
    'udp_echo',
    'replay',
    'underlay',
    'address',
    'address6',
    'gateway',
    'mac'
  ])
  const virtual = readVirtual(given, ours, directory)
  if (given.image === undefined && virtual === null) at.fail('an image is missing')
  if (given.networks !== undefined && given.network_mode !== undefined)
    given.network_mode.fail('networks are named too: only one of both can be')
  const networks = given.networks === undefined ? undefined : readServiceNetworks(given.networks, directory)
  const volumes = readVolumes(given.volumes, directory)
  const links = (given.links?.list() ?? []).map((item) => {
    const [service = '', alias = service] = item.word().split(':')
    return { service, alias, at: item }
  })
  return {
    name,
    at,
    host: ours?.host,
    containerName: virtual === null ? readContainerName(given.container_name, name, at) : name,
    networks,
    networkMode: given.network_mode,
    links,
    dependencies: [
      ...readDependencies(given.depends_on),
      ...[...links, ...readSharing(given.network_mode)].map((other) => ({ ...other, condition: 'service_started' as const }))
    ],
    volumes,
    request: virtual === null ? readRequest(given, volumes, directory) : {},
    virtual,
    link: ours?.link && readLink(ours.link, directory)
  }
}

/** The service's own where there is none. Docker's containers have names of two characters and more. */
function readContainerName(value: Value | undefined, service: string, at: Value): string {
  if (value === undefined) {
    if (service.length < 2)
      at.fail(`a container cannot be called '${service}', as its service: add container_name, of two characters or more`)
    return service
  }
  const text = value.word()
  if (NAME.test(text) && text.length > 1) return text
  return value.fail(`'${text}' is no name of a container: two or more letters, digits, '.', '_' and '-'`)
}

function readDependencies(value: Value | undefined): Dependency[] {
  if (value === undefined) return []
  if (value.isList) return value.list().map((item) => ({ service: item.word(), condition: 'service_started', at: item }))
  return [...value.entries()].map(([service, at]) => {
    const { condition } = at.isNull ? {} : at.members(['condition', 'restart', 'required'])
    return {
      service,
      at,
      condition: condition?.oneOf(['service_started', 'service_healthy', 'service_completed_successfully']) ?? 'service_started'
    }
  })
}

/** Whose namespace it is to share has to run first, as with Compose. */
function readSharing(mode: Value | undefined): { service: string; at: Value }[] {
  const name = mode === undefined ? undefined : /^service:(.+)$/.exec(mode.word())?.[1]
  return name === undefined ? [] : [{ service: name, at: mode! }]
}

function readRequest(given: Members, volumes: ServiceVolumes, directory: string): CreateRequest {
  const ports = readPorts(given.ports, given.expose)
  const { cap_add: capAdd, cap_drop: capDrop, stop_grace_period: grace, mac_address: mac } = given
  const image = given.image!
  image.check(() => parseReference(image.word()))
  return {
    Image: image.text(),
    ...(given.hostname !== undefined && { Hostname: given.hostname.word() }),
    ...(given.domainname !== undefined && { Domainname: given.domainname.word() }),
    ...(given.user !== undefined && { User: given.user.word() }),
    ...(given.working_dir !== undefined && { WorkingDir: given.working_dir.word() }),
    ...(given.command !== undefined && { Cmd: readCommand(given.command) }),
    ...(given.entrypoint !== undefined && { Entrypoint: readCommand(given.entrypoint) }),
    ...(given.stop_signal !== undefined && { StopSignal: given.stop_signal.word() }),
    ...(grace !== undefined && { StopTimeout: Math.ceil(readDuration(grace) / 1e9) }),
    ...(given.healthcheck !== undefined && { Healthcheck: readHealthcheck(given.healthcheck) }),
    ...(mac !== undefined && { MacAddress: readMac(mac) }),
    Tty: given.tty?.boolean() ?? false,
    OpenStdin: given.stdin_open?.boolean() ?? false,
    Env: readEnvironment(given, directory),
    ExposedPorts: ports.exposed,
    Volumes: volumes.anonymous,
    Labels: given.labels === undefined ? {} : readTexts(given.labels),
    HostConfig: {
      Binds: volumes.binds,
      Mounts: volumes.mounts,
      PortBindings: ports.bindings,
      RestartPolicy: readRestart(given.restart),
      CapAdd: capAdd?.texts() ?? null,
      CapDrop: capDrop?.texts() ?? null,
      Privileged: given.privileged?.boolean() ?? false,
      ReadonlyRootfs: given.read_only?.boolean() ?? false,
      Dns: readNameServers(given.dns),
      DnsSearch: given.dns_search?.texts({ single: true }) ?? [],
      DnsOptions: given.dns_opt?.texts() ?? [],
      ExtraHosts: given.extra_hosts === undefined ? null : readExtraHosts(given.extra_hosts),
      ...(given.sysctls !== undefined && { Sysctls: readTexts(given.sysctls) }),
      ...(given.init !== undefined && { Init: given.init.boolean() }),
      ...(given.tmpfs !== undefined && { Tmpfs: Object.fromEntries(given.tmpfs.texts({ single: true }).map(pathAndOptions)) })
    }
  }
}

/** A text is split as a shell does it. */
function readCommand(value: Value): string[] {
  return value.isList ? value.texts() : value.check(() => splitWords(value.text()))
}

/** `env_file` first; a name without a value has that of whoever reads the file, and is left out where there is none. */
function readEnvironment({ env_file: files, environment }: Members, directory: string): string[] {
  const variables = new Map<string, string>()
  const list = files === undefined ? [] : files.isList ? files.list() : [files]
  for (const file of list) {
    const text = file.check(() => readFileSync(path.resolve(directory, file.word()), 'utf8'))
    for (const line of text.split(/\r?\n/)) {
      const [, name, value] = /^\s*(?:export\s+)?([^#=\s][^=\s]*)\s*=\s*(.*?)\s*$/.exec(line) ?? []
      if (name !== undefined) variables.set(name, value!.replace(/^(["'])(.*)\1$/, '$2'))
    }
  }
  for (const [name, value] of environment?.pairs() ?? []) {
    if (name === '') environment!.fail('a variable has no name')
    const known = value ?? environment!.env[name]
    if (known !== undefined) variables.set(name, known)
  }
  return [...variables].map(([name, value]) => `${name}=${value}`)
}

function readPorts(published: Value | undefined, exposed: Value | undefined): ReturnType<typeof readPortMappings> {
  const result = { exposed: {}, bindings: {} } as ReturnType<typeof readPortMappings>
  const add = (value: Value, mappings: () => ReturnType<typeof readPortMappings>): void => {
    const { exposed: more, bindings } = value.check(mappings)
    Object.assign(result.exposed, more)
    for (const [key, list] of Object.entries(bindings)) result.bindings[key] = [...(result.bindings[key] ?? []), ...list]
  }
  for (const item of published?.list() ?? []) add(item, () => readPortMappings([item.isMap ? longPort(item) : item.word()], []))
  for (const item of exposed?.list() ?? []) add(item, () => readPortMappings([], [item.word()]))
  return result
}

/** The long form, in the words of the short one. */
function longPort(item: Value): string {
  const {
    target,
    published,
    host_ip: ip,
    protocol
  } = item.members(['target', 'published', 'host_ip', 'protocol', 'mode', 'name', 'app_protocol'])
  const inside = target?.integer(1, 65_535) ?? item.fail('a target is missing: the port in the container')
  const outside = published?.word() ?? ''
  const address = ip === undefined ? '' : `${readAnyAddress(ip).replace(/^(.*:.*)$/, '[$1]')}:`
  return `${address}${outside === '' && address === '' ? '' : `${outside}:`}${inside}/${protocol?.word() ?? 'tcp'}`
}

function readNameServers(value: Value | undefined): string[] {
  if (value === undefined) return []
  return value.isList ? value.list().map(readAnyAddress) : [readAnyAddress(value)]
}

/** `NAME:ADDRESS`, `NAME=ADDRESS` or a mapping. */
function readExtraHosts(value: Value): string[] {
  const pairs = value.isMap ? value.pairs() : value.texts().map((text) => /^([^:=]+)[:=](.*)$/.exec(text)?.slice(1) ?? [text, ''])
  return pairs.map(([name, address]) => {
    if (name === '' || !address) value.fail(`'${name}': an address is missing, as in name:192.0.2.1`)
    return `${name}:${address}`
  })
}

function readRestart(value: Value | undefined): RestartPolicy {
  const text = value?.text() ?? 'no'
  // YAML's no without quotes is a text in YAML 1.2, and false for whoever wrote it as a truth value.
  const policy = text === 'false' ? 'no' : text
  if (!RESTART.test(policy)) value!.fail(`'${text}' is none of "no", always, unless-stopped, on-failure, on-failure:COUNT`)
  const [Name = '', count = '0'] = policy.split(':')
  return { Name, MaximumRetryCount: Number(count) }
}

function pathAndOptions(text: string): [string, string] {
  const colon = text.indexOf(':')
  return colon === -1 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)]
}

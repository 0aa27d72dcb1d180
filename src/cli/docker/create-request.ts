/** From the command line of `run` and `create` to the request: what Docker's client does before the daemon sees anything. */
import path from 'node:path'
import type { EndpointConfig } from '../../api/network-json.ts'
import type { CreateRequest } from '../../client/container-calls.ts'
import { readPortMappings } from '../../client/port-mappings.ts'
import { parseGoDuration } from '../../docker/go-time.ts'
import { parseReference } from '../../image/image-reference.ts'
import { CliError } from '../cli-error.ts'
import type { CreateOptions } from './create-options.ts'
import {
  capabilities,
  checkModes,
  checkValues,
  extraHost,
  linesOf,
  logging,
  nameServer,
  restartPolicy,
  securityOptions
} from './create-values.ts'
import { readPairs } from './docker-command.ts'
import { FlagError, integerProblem, intFlag } from './flag-value.ts'
import { mountFlag } from './mount-flag.ts'
import { resources } from './resource-options.ts'

/** FlagError or RangeError with Docker's text for what its client refuses. `detach`: nobody looks at the streams. */
export function createRequest(
  image: string,
  words: readonly string[],
  options: CreateOptions,
  detach: boolean,
  env: NodeJS.ProcessEnv
): CreateRequest {
  checkValues(options)
  const attach = attached(options, detach)
  const limits = resources(options)
  checkMac(options)
  checkModes(options)
  checkImage(image)
  const ports = readPortMappings(options.publish ?? [], options.expose ?? [])
  const { networkMode, endpoints } = networks(options)
  const openStdin = options.interactive ?? false
  return {
    Hostname: options.hostname ?? '',
    Domainname: options.domainname ?? '',
    User: options.user ?? '',
    AttachStdin: attach.stdin,
    AttachStdout: attach.stdout,
    AttachStderr: attach.stderr,
    ExposedPorts: ports.exposed,
    Tty: options.tty ?? false,
    OpenStdin: openStdin,
    StdinOnce: openStdin && attach.stdin,
    Env: nullIfNone(variables(options, env)),
    Cmd: words.length === 0 ? null : [...words],
    Image: image,
    Volumes: anonymousVolumes(options.volume ?? []),
    WorkingDir: options.workdir ?? '',
    Entrypoint: options.entrypoint === undefined ? null : [options.entrypoint],
    OnBuild: null,
    Labels: { ...Object.assign({}, ...(options.labelFile ?? []).map((file) => readPairs(linesOf(file)))), ...readPairs(options.label) },
    ...(options.stopSignal === undefined ? {} : { StopSignal: options.stopSignal }),
    ...(options.stopTimeout === undefined ? {} : { StopTimeout: intFlag(options.stopTimeout, '--stop-timeout') }),
    ...healthcheck(options),
    HostConfig: { ...hostConfig(options, networkMode, ports.bindings), ...limits },
    NetworkingConfig: { EndpointsConfig: endpoints }
  }
}

/** A name that cannot be one is refused before the daemon is asked. */
function checkImage(image: string): void {
  if (/^(sha256:)?[a-f0-9]{64}$/.test(image)) return
  try {
    parseReference(image)
  } catch (error) {
    // Docker's client names what its daemon does not.
    const named = image.includes('/') ? image : `library/${image}`
    const message = (error as Error).message.replace('repository name must be lowercase', `repository name (${named}) must be lowercase`)
    throw new RangeError(message, { cause: error })
  }
}

function checkMac({ macAddress }: CreateOptions): void {
  if (macAddress !== undefined && !/^([0-9a-f]{2}([:-]|$)){6}$/i.test(macAddress))
    throw new RangeError(`${macAddress} is not a valid mac address`)
}

function nullIfNone(list: string[]): string[] | null {
  return list.length === 0 ? null : list
}

function hostConfig(
  options: CreateOptions,
  networkMode: string,
  bindings: ReturnType<typeof readPortMappings>['bindings']
): NonNullable<CreateRequest['HostConfig']> {
  const volumes = (options.volume ?? []).filter((volume) => volume.includes(':'))
  return {
    Binds: volumes.length === 0 ? null : volumes.map(absoluteSource),
    NetworkMode: networkMode,
    PortBindings: bindings,
    RestartPolicy: restartPolicy(options.restart ?? 'no'),
    AutoRemove: options.rm ?? false,
    LogConfig: logging(options.logDriver, options.logOpt),
    VolumesFrom: options.volumesFrom ?? null,
    CapAdd: capabilities(options.capAdd),
    CapDrop: capabilities(options.capDrop),
    Dns: (options.dns ?? []).map(nameServer),
    DnsOptions: [...(options.dnsOption ?? []), ...(options.dnsOpt ?? [])],
    DnsSearch: options.dnsSearch ?? [],
    ExtraHosts: options.addHost?.map(extraHost) ?? null,
    GroupAdd: options.groupAdd ?? null,
    IpcMode: options.ipc ?? '',
    Links: options.link ?? null,
    PidMode: options.pid ?? '',
    Privileged: options.privileged ?? false,
    PublishAllPorts: options.publishAll ?? false,
    ReadonlyRootfs: options.readOnly ?? false,
    ...securityOptions(options.securityOpt),
    UTSMode: options.uts ?? '',
    UsernsMode: options.userns ?? '',
    ...(options.tmpfs === undefined ? {} : { Tmpfs: Object.fromEntries(options.tmpfs.map(pathAndOptions)) }),
    ...(options.sysctl === undefined ? {} : { Sysctls: readPairs(options.sysctl) }),
    ...(options.init === undefined ? {} : { Init: options.init }),
    ...(options.annotation === undefined ? {} : { Annotations: readPairs(options.annotation) }),
    ...(options.mount === undefined ? {} : { Mounts: options.mount.map(mountFlag) })
  }
}

/** What is not given is the image's. */
function healthcheck(options: CreateOptions): Pick<CreateRequest, 'Healthcheck'> {
  const { healthCmd, healthInterval, healthTimeout, healthStartPeriod, healthRetries } = options
  const isAsked = [healthCmd, healthInterval, healthTimeout, healthStartPeriod, healthRetries].some((value) => value !== undefined)
  if (options.healthcheck === false) {
    if (isAsked) throw new RangeError('--no-healthcheck conflicts with --health-* options')
    return { Healthcheck: { Test: ['NONE'] } }
  }
  if (!isAsked) return {}
  return {
    Healthcheck: {
      ...(healthCmd && { Test: ['CMD-SHELL', healthCmd] }),
      ...(healthInterval !== undefined && { Interval: nanoseconds(healthInterval, '--health-interval') }),
      ...(healthTimeout !== undefined && { Timeout: nanoseconds(healthTimeout, '--health-timeout') }),
      ...(healthStartPeriod !== undefined && { StartPeriod: nanoseconds(healthStartPeriod, '--health-start-period') }),
      ...(healthRetries !== undefined && { Retries: retries(healthRetries) })
    }
  }
}

/** Of Go's '1m30s'. */
function nanoseconds(text: string, flag: string): number {
  const span = parseGoDuration(text)
  if (span === undefined) throw new FlagError(text, flag, `time: invalid duration "${text}"`)
  if (span < 0n) throw new RangeError(`${flag} cannot be negative`)
  return Number(span)
}

function retries(text: string): number {
  const count = intFlag(text, '--health-retries')
  if (count < 0) throw new RangeError('--health-retries cannot be negative')
  return count
}

/** Which streams the user sees: those of -a, else stdout and stderr, and stdin with -i. */
export function attached(options: CreateOptions, detach: boolean): { stdin: boolean; stdout: boolean; stderr: boolean } {
  const streams = (options.attach ?? []).map((stream) => stream.toLowerCase())
  const unknown = streams.find((stream) => !['stdin', 'stdout', 'stderr'].includes(stream))
  if (unknown !== undefined) throw new FlagError(unknown, '-a, --attach', 'valid streams are STDIN, STDOUT and STDERR')
  if (detach && streams.length > 0) {
    throw new CliError('conflicting options: cannot specify both --attach and --detach', { code: 'ERR_USAGE', isPlain: true })
  }
  if (detach) return { stdin: false, stdout: false, stderr: false }
  if (streams.length === 0) return { stdin: options.interactive ?? false, stdout: true, stderr: true }
  return { stdin: streams.includes('stdin'), stdout: streams.includes('stdout'), stderr: streams.includes('stderr') }
}

/** The first network is the container's mode; options of their own (--ip, --network-alias...) are about that one. */
function networks(options: CreateOptions): { networkMode: string; endpoints: Record<string, EndpointConfig> } {
  const given = [...(options.network ?? []), ...(options.net ?? [])].map(networkOption)
  const aliases = [...(options.networkAlias ?? []), ...(options.netAlias ?? [])]
  const first = given[0] ?? { name: 'default', config: {} }
  const isUserDefined = !['default', 'bridge', 'host', 'none'].includes(first.name) && !first.name.startsWith('container:')
  if (aliases.length > 0 && !isUserDefined) throw new RangeError('network-scoped aliases are only supported for user-defined networks')
  const { ip, ip6, linkLocalIp, macAddress } = options
  const config: EndpointConfig = { ...first.config }
  if (ip !== undefined || ip6 !== undefined || linkLocalIp !== undefined) {
    config.IPAMConfig = {
      ...config.IPAMConfig,
      ...(ip === undefined ? {} : { IPv4Address: ip }),
      ...(ip6 === undefined ? {} : { IPv6Address: ip6 }),
      ...(linkLocalIp === undefined ? {} : { LinkLocalIPs: linkLocalIp })
    }
  }
  if (aliases.length > 0) config.Aliases = [...(config.Aliases ?? []), ...aliases]
  if (options.link !== undefined && isUserDefined) config.Links = options.link
  if (macAddress !== undefined) config.MacAddress = macAddress
  const endpoints: Record<string, EndpointConfig> = {}
  for (const { name, config: other } of given) endpoints[name] = other
  if (Object.keys(config).length > 0 || given.length > 0) endpoints[first.name] = config
  return { networkMode: first.name, endpoints }
}

/** NAME, or name=NAME,alias=A,ip=ADDRESS,... */
function networkOption(text: string): { name: string; config: EndpointConfig } {
  if (!/^\w+=/.test(text)) return { name: text, config: {} }
  const config: EndpointConfig = {}
  let name = ''
  for (const field of text.split(',')) {
    const [key, value] = keyAndValue(field)
    if (key === 'name') name = value
    else if (key === 'alias') config.Aliases = [...(config.Aliases ?? []), value]
    else if (key === 'ip') config.IPAMConfig = { ...config.IPAMConfig, IPv4Address: value }
    else if (key === 'ip6') config.IPAMConfig = { ...config.IPAMConfig, IPv6Address: value }
    else if (key === 'mac-address') config.MacAddress = value
    else if (key === 'link-local-ip')
      config.IPAMConfig = { ...config.IPAMConfig, LinkLocalIPs: [...(config.IPAMConfig?.LinkLocalIPs ?? []), value] }
    else if (key === 'gw-priority') config.GwPriority = gatewayPriority(text, value)
    else if (key === 'driver-opt') config.DriverOpts = { ...config.DriverOpts, ...readPairs([value]) }
    else throw new FlagError(text, '--network', `invalid field key ${key}`)
  }
  if (name === '') throw new RangeError('network name/id is not specified')
  return { name, config }
}

function gatewayPriority(text: string, value: string): number {
  const why = integerProblem(value)
  if (why !== undefined) throw new FlagError(text, '--network', `invalid gw-priority (${value}): ${why.replace(/^.*: /, '')}`)
  return Number(value)
}

/** Files first, then options; a name alone takes the value from here, or nothing where there is none. */
function variables(options: CreateOptions, env: NodeJS.ProcessEnv): string[] {
  return [...(options.envFile ?? []).flatMap(linesOf), ...(options.env ?? [])].flatMap((text) => {
    if (text.includes('=')) return [text]
    const value = env[text]
    return value === undefined ? [] : [`${text}=${value}`]
  })
}

export { variables as environmentVariables }

/** Volumes without a source are the image's kind. */
function anonymousVolumes(volumes: readonly string[]): Record<string, object> {
  return Object.fromEntries(volumes.filter((volume) => !volume.includes(':')).map((volume) => [volume, {}]))
}

/** A source that begins with a dot is beside us. */
function absoluteSource(volume: string): string {
  const colon = volume.indexOf(':')
  const source = volume.slice(0, colon)
  return source.startsWith('.') ? `${path.resolve(source)}${volume.slice(colon)}` : volume
}

function keyAndValue(field: string): [string, string] {
  const equals = field.indexOf('=')
  return equals === -1 ? [field.trim().toLowerCase(), ''] : [field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1).trim()]
}

function pathAndOptions(text: string): [string, string] {
  const colon = text.indexOf(':')
  return colon === -1 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)]
}

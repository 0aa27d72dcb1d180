/**
 * What a daemon can be told, by flags and by a file, in one shape. Names of the file's members are those of the flags, and as far as
 * dockerd has the same thing, dockerd's.
 */
import { homedir } from 'node:os'
import path from 'node:path'
import { LOG_LEVELS, type LogLevel } from '../api/logger.ts'
import type { ImageTable } from '../image/host-image.ts'
import type { DefaultPool } from '../ipam/address-space.ts'
import { addressFamily } from '../wire/address.ts'
import { parseCidr } from '../wire/cidr.ts'
import { VXLAN_PORT } from '../wire/vxlan.ts'
import { checkClusterAdvertise, checkClusterStore, checkStoreOptions } from './cluster-setting.ts'
import { DaemonError } from './daemon-error.ts'
import { parseHost } from './host-address.ts'
import { type NatSetting, readNatSetting } from './nat-setting.ts'
import { AUTO_UPLINK, checkUplink } from './uplink-setting.ts'

export interface DaemonConfig {
  /** 'unix:///path' or 'tcp://address:port'. */
  readonly hosts: readonly string[]
  readonly 'state-dir': string
  readonly 'log-level': LogLevel
  /** False: containers that a killed daemon left are ended by the next start. */
  readonly 'live-restore': boolean
  /** Names of images that nobody imported mean the machine's own root. */
  readonly 'host-images': boolean
  /** The engine's thread runs before all ordinary ones, as long as it leaves them time. */
  readonly realtime: boolean
  /** How frames leave the networks: see uplink-setting. */
  readonly uplink: string
  /** How the gateway translates: Linux's ways and times where nothing is said. */
  readonly nat: NatSetting
  /** False: containers of the default bridge reach each other by links alone. */
  readonly icc: boolean
  /** etcd://, zk:// or consul://: what daemons of one cluster share; '': none. */
  readonly 'cluster-store': string
  readonly 'cluster-store-opts': Readonly<Record<string, string>>
  /** ADDR:PORT or IFACE:PORT by which the cluster's other hosts reach this one. */
  readonly 'cluster-advertise': string
  /** How VXLAN leaves: 'tap', 'udp', or '' for what this host can. */
  readonly underlay: '' | UnderlayKind
  /** UDP port of VXLAN, the same on all hosts of a cluster. */
  readonly 'overlay-port': number
  /** Where automatic subnets come from; empty: Docker's own. */
  readonly 'default-address-pools': readonly DefaultPool[]
  /** Name servers, search domains and options of containers that name none. */
  readonly dns: readonly string[]
  readonly 'dns-search': readonly string[]
  readonly 'dns-opts': readonly string[]
  /** Who, beside the owner, may use unix sockets; '': nobody. */
  readonly group: string
  /** PEM files: clients of TCP hosts must show a certificate that `tlscacert` signed. */
  readonly tlscacert: string
  readonly tlscert: string
  readonly tlskey: string
  /** By name: settings (Cmd, Env, ExposedPorts...) of images that nobody imported. */
  readonly images: ImageTable
}

export const UNDERLAYS = ['tap', 'udp'] as const
export type UnderlayKind = (typeof UNDERLAYS)[number]

export const DEFAULT_GROUP = 'netloom'

/** Where this user's sockets go. */
export function runtimeDirectory(env: NodeJS.ProcessEnv, isRoot: boolean): string {
  return isRoot ? '/run/netloom' : env['XDG_RUNTIME_DIR'] || path.join(homedir(), '.netloom')
}

/** Of this user and environment. */
export function defaultConfig(env: NodeJS.ProcessEnv, isRoot: boolean): DaemonConfig {
  const data = env['XDG_DATA_HOME'] || path.join(homedir(), '.local/share')
  return {
    hosts: [`unix://${path.join(runtimeDirectory(env, isRoot), 'netloom.sock')}`],
    'state-dir': isRoot ? '/var/lib/netloom' : path.join(data, 'netloom'),
    'log-level': 'info',
    'live-restore': true,
    'host-images': true,
    realtime: false,
    uplink: AUTO_UPLINK,
    nat: {},
    icc: true,
    'cluster-store': '',
    'cluster-store-opts': {},
    'cluster-advertise': '',
    underlay: '',
    'overlay-port': VXLAN_PORT,
    'default-address-pools': [],
    dns: [],
    'dns-search': [],
    'dns-opts': [],
    group: DEFAULT_GROUP,
    tlscacert: '',
    tlscert: '',
    tlskey: '',
    images: {}
  }
}

/** Checks one member, by whichever way it came; gives its value in the form of DaemonConfig. Throws RangeError. */
type Reader = (value: unknown) => unknown

const READERS: Readonly<Record<keyof DaemonConfig, Reader>> = {
  hosts: listOf((value) => parseHost(text(value)).text),
  'state-dir': (value) => path.resolve(nonEmpty(value)),
  'log-level': logLevel,
  'live-restore': flag,
  'host-images': flag,
  realtime: flag,
  uplink: (value) => checkUplink(text(value)),
  nat: readNatSetting,
  icc: flag,
  'cluster-store': (value) => checkClusterStore(text(value)),
  'cluster-store-opts': checkStoreOptions,
  'cluster-advertise': (value) => checkClusterAdvertise(text(value)),
  underlay: underlayKind,
  'overlay-port': overlayPort,
  'default-address-pools': listOf(addressPool),
  dns: listOf(nameServer),
  'dns-search': listOf(nonEmpty),
  'dns-opts': listOf(nonEmpty),
  group: text,
  tlscacert: file,
  tlscert: file,
  tlskey: file,
  images: imageTable
}

/** `where` begins the message: '--dns', 'daemon.json: dns'. Throws DaemonError. */
export function readMember(name: string, value: unknown, where: string): unknown {
  const reader = (READERS as Readonly<Record<string, Reader>>)[name]
  if (reader === undefined) throw new DaemonError('ERR_DAEMON_CONFIG', `${where}: there is no such setting`)
  try {
    return reader(value)
  } catch (error) {
    throw new DaemonError('ERR_DAEMON_CONFIG', `${where}: ${(error as Error).message}`, { cause: error })
  }
}

export function isMember(name: string): name is keyof DaemonConfig {
  return Object.hasOwn(READERS, name)
}

function listOf(reader: Reader): Reader {
  return (value) => {
    if (!Array.isArray(value)) throw new RangeError(`${JSON.stringify(value)} is not a list`)
    return value.map(reader)
  }
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new RangeError(`${JSON.stringify(value)} is not a text`)
  return value
}

function nonEmpty(value: unknown): string {
  if (text(value) === '') throw new RangeError('it is empty')
  return value as string
}

function file(value: unknown): string {
  return value === '' ? '' : path.resolve(text(value))
}

function flag(value: unknown): boolean {
  if (typeof value === 'boolean') return value
  if (value === 'true') return true
  if (value === 'false') return false
  throw new RangeError(`${JSON.stringify(value)} is neither true nor false`)
}

function logLevel(value: unknown): LogLevel {
  const level = LOG_LEVELS.find((known) => known === value)
  if (level === undefined) throw new RangeError(`${JSON.stringify(value)} is none of ${LOG_LEVELS.join(', ')}`)
  return level
}

/** A pool of the file, { base, size }, or of the command line, 'base=10.0.0.0/8,size=24'. */
function addressPool(value: unknown): DefaultPool {
  const { base, size } = typeof value === 'string' ? Object.fromEntries(value.split(',').map(keyAndValue)) : (value as never)
  const prefix = parseCidr(cidr(nonEmpty(base)))
  const length = Number(size)
  if (!Number.isInteger(length) || length < prefix.length || length > 30) {
    throw new RangeError(`size ${size} is not a prefix length from that of the base, ${prefix.length}, to 30`)
  }
  return { base: base as string, length }
}

function underlayKind(value: unknown): UnderlayKind {
  const kind = UNDERLAYS.find((known) => known === value)
  if (kind === undefined) throw new RangeError(`${JSON.stringify(value)} is none of ${UNDERLAYS.join(', ')}`)
  return kind
}

/** As Docker's `swarm init --data-path-port` takes it. */
function overlayPort(value: unknown): number {
  const port = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1024 || port > 49151) {
    throw new RangeError(`${JSON.stringify(value)} is no port from 1024 to 49151`)
  }
  return port
}

function keyAndValue(pair: string): [string, string] {
  const equals = pair.indexOf('=')
  const key = pair.slice(0, equals)
  if (equals === -1 || (key !== 'base' && key !== 'size')) throw new RangeError(`'${pair}' is neither base=CIDR nor size=LENGTH`)
  return [key, pair.slice(equals + 1)]
}

function cidr(value: string): string {
  if (value !== '' && parseCidr(value).family !== 4) throw new RangeError(`${value} is not IPv4`)
  return value
}

function nameServer(value: unknown): string {
  if (addressFamily(text(value)) === 0) throw new RangeError(`${value} is not an IP address`)
  return value as string
}

function imageTable(value: unknown): ImageTable {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new RangeError('it is not an object of image names')
  for (const [name, settings] of Object.entries(value)) {
    if (typeof settings !== 'object' || settings === null) throw new RangeError(`${name}: its settings are not an object`)
  }
  return value as ImageTable
}

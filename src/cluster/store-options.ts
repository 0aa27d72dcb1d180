/**
 * `--cluster-store URL` and `--cluster-store-opt KEY=VALUE`: the words of Docker's daemon, and credentials beside them.
 *
 *   etcd://192.0.2.60:2379,192.0.2.61:2379/prefix    zk://...:2181    consul://...:8500
 */
import { readFileSync } from 'node:fs'
import { ClusterError } from './cluster-error.ts'

export type StoreKind = 'etcd' | 'zk' | 'consul'

export interface StoreServer {
  readonly host: string
  readonly port: number
}

/** PEM texts. */
export interface StoreTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface StoreOptions {
  readonly kind: StoreKind
  /** The members of the store; at least one. */
  readonly servers: readonly StoreServer[]
  /** Without slashes at its ends; all keys are below it. */
  readonly prefix: string
  /** Spoken with every server when it is there. */
  readonly tls?: StoreTls
  readonly username?: string
  readonly password?: string
  /** Consul's ACL token. */
  readonly token?: string
  /** Seconds of a lease. */
  readonly ttl?: number
  /** What people may see: no password. */
  readonly name: string
}

const PORTS: Readonly<Record<StoreKind, number>> = { etcd: 2379, zk: 2181, consul: 8500 }
const DEFAULT_PREFIX = 'netloom'
const OPTIONS = [
  'kv.cacertfile',
  'kv.certfile',
  'kv.keyfile',
  'kv.path',
  'kv.username',
  'kv.password',
  'kv.token',
  'discovery.heartbeat',
  'discovery.ttl'
]

/** Reads the files that the options name. Throws ClusterError `invalid`. */
export function readStoreOptions(url: string, options: Readonly<Record<string, string>> = {}): StoreOptions {
  for (const name of Object.keys(options)) {
    if (!OPTIONS.includes(name)) throw invalid(`option ${name} is not known; there are ${OPTIONS.join(', ')}`)
  }
  // The user ends at the last @: what an unwise password leaves before it must not be taken for a server, and be told.
  const match = /^([a-z]+):\/\/(?:(.*)@)?([^@/]*)(?:\/([^@]*))?$/.exec(url)
  const kind = match?.[1] as StoreKind | undefined
  if (match === null || kind === undefined || PORTS[kind] === undefined) {
    throw invalid(
      `${withoutPassword(url)} is not a store's URL such as etcd://192.0.2.60:2379/prefix, zk://192.0.2.60:2181 or consul://192.0.2.60:8500`
    )
  }
  const [username, password] = readUser(match[2])
  const servers = match[3].split(',').map((text) => readServer(text, PORTS[kind]))
  const prefix = trimSlashes(match[4] ?? '') || trimSlashes(options['kv.path'] ?? '') || DEFAULT_PREFIX
  if (!/^[\w.~%-]+(\/[\w.~%-]+)*$/.test(prefix)) throw invalid(`prefix ${prefix} may have letters, digits and -._~% between slashes`)
  const ttl = readTtl(options)
  const tls = readTls(options)
  return {
    kind,
    servers,
    prefix,
    ...(tls !== undefined && { tls }),
    ...optional('username', options['kv.username'] ?? username),
    ...optional('password', options['kv.password'] ?? password),
    ...optional('token', options['kv.token']),
    ...(ttl !== undefined && { ttl }),
    name: `${kind}://${servers.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',')}/${prefix}`
  }
}

/** `192.0.2.60`, `192.0.2.60:2379`, `[2001:db8::60]:2379`. */
function readServer(text: string, defaultPort: number): StoreServer {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/.exec(text)
  const port = Number(match?.[3] ?? defaultPort)
  if (match === null || port < 1 || port > 65535)
    throw invalid(`${text === '' ? 'an empty text' : text} is not a server such as 192.0.2.60:${defaultPort}`)
  return { host: match[1] ?? match[2], port }
}

function readUser(text: string | undefined): (string | undefined)[] {
  if (text === undefined) return []
  const colon = text.indexOf(':')
  try {
    if (/[@/]/.test(text)) throw new URIError('not encoded')
    return (colon < 0 ? [text] : [text.slice(0, colon), text.slice(colon + 1)]).map(decodeURIComponent)
  } catch {
    throw invalid('user and password before the @ must be percent-encoded')
  }
}

function readTls(options: Readonly<Record<string, string>>): StoreTls | undefined {
  const files = { ca: options['kv.cacertfile'], cert: options['kv.certfile'], key: options['kv.keyfile'] }
  if (Object.values(files).every((file) => file === undefined)) return undefined
  if ((files.cert === undefined) !== (files.key === undefined)) throw invalid('kv.certfile and kv.keyfile go together')
  const texts = Object.entries(files).map(([name, file]) => [name, file === undefined ? undefined : readFile(file)])
  return Object.fromEntries(texts.filter(([, text]) => text !== undefined)) as StoreTls
}

function readFile(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new ClusterError('invalid', `cluster store: cannot read ${file}: ${(cause as Error).message}`, { cause })
  }
}

/** Seconds. As with Docker a heartbeat alone makes a lease of three. */
function readTtl(options: Readonly<Record<string, string>>): number | undefined {
  const seconds = (name: string): number | undefined => {
    const text = options[name]
    if (text === undefined) return undefined
    if (!/^\d{1,5}$/.test(text) || Number(text) < 1) throw invalid(`${name} must be a whole number of seconds, at least 1, not '${text}'`)
    return Number(text)
  }
  const heartbeat = seconds('discovery.heartbeat')
  const ttl = seconds('discovery.ttl')
  if (heartbeat !== undefined && ttl !== undefined && ttl <= heartbeat)
    throw invalid('discovery.ttl must be greater than discovery.heartbeat')
  return ttl ?? (heartbeat === undefined ? undefined : 3 * heartbeat)
}

function optional<K extends string>(name: K, value: string | undefined): { [N in K]?: string } {
  return (value === undefined ? {} : { [name]: value }) as { [N in K]?: string }
}

function trimSlashes(text: string): string {
  return text.replace(/^\/+|\/+$/g, '')
}

/** For messages, also of a text that is no URL at all. */
export function withoutPassword(url: string): string {
  return url.replace(/^([a-z]*:?\/*[^:@/]*):.*@/s, '$1:***@')
}

function invalid(problem: string): ClusterError {
  return new ClusterError('invalid', `cluster store: ${problem}`)
}

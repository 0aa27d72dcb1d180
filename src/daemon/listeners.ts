/** Puts the API on its addresses: unix sockets with the right mode and group, TCP with certificates only. */
import { chownSync, lstatSync, readFileSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import path from 'node:path'
import type { Logger } from '../api/logger.ts'
import type { ApiServer, TlsCredentials } from '../api/server.ts'
import { makeFolder } from '../store/make-folder.ts'
import type { DaemonConfig } from './daemon-config.ts'
import { DaemonError } from './daemon-error.ts'
import { type HostAddress, parseHost } from './host-address.ts'

/** Owner and group read and write, which is what connecting takes. */
const SOCKET_UMASK = 0o117

type ListenConfig = Pick<DaemonConfig, 'hosts' | 'group' | 'tlscacert' | 'tlscert' | 'tlskey'>

/** Before anything else is started: what can be known of the addresses. Throws DaemonError. */
export function readHosts(config: ListenConfig): { addresses: HostAddress[]; tls: TlsCredentials | undefined } {
  const addresses = config.hosts.map(parseHost)
  const { tlscacert, tlscert, tlskey } = config
  const isTls = tlscacert !== '' && tlscert !== '' && tlskey !== ''
  const tcp = addresses.find(({ kind }) => kind === 'tcp')
  if (tcp !== undefined && !isTls) {
    throw new DaemonError(
      'ERR_DAEMON_CONFIG',
      `${tcp.text}: whoever reaches a TCP host is root here, so it takes TLS with client certificates`,
      {
        fix: 'give --tlscacert, --tlscert and --tlskey, or listen on unix:///path'
      }
    )
  }
  const read = (name: string, file: string): string => {
    try {
      return readFileSync(file, 'utf8')
    } catch (error) {
      throw new DaemonError('ERR_DAEMON_CONFIG', `${name}: ${(error as Error).message}`, { cause: error })
    }
  }
  const tls =
    tcp === undefined ? undefined : { ca: read('tlscacert', tlscacert), cert: read('tlscert', tlscert), key: read('tlskey', tlskey) }
  return { addresses, tls }
}

/** Throws DaemonError. */
export async function listenOn(
  server: ApiServer,
  address: HostAddress,
  group: string,
  tls: TlsCredentials | undefined,
  logger: Logger
): Promise<void> {
  try {
    if (address.kind === 'tcp') await server.listen({ host: address.host || undefined, port: address.port }, tls)
    else await listenOnSocket(server, address.path, group, logger)
  } catch (error) {
    if (error instanceof DaemonError) throw error
    throw new DaemonError('ERR_DAEMON_LISTEN', `${address.text}: ${(error as Error).message}`, { cause: error })
  }
}

async function listenOnSocket(server: ApiServer, file: string, group: string, logger: Logger): Promise<void> {
  makeFolder(path.dirname(file), 0o755)
  await removeStale(file)
  const before = process.umask(SOCKET_UMASK)
  let listening: Promise<void>
  try {
    // The socket is made before this returns, so no other file gets the mask.
    listening = server.listen({ path: file })
  } finally {
    process.umask(before)
  }
  await listening
  const gid = groupId(group)
  if (gid === undefined) return
  try {
    chownSync(file, process.getuid!(), gid)
  } catch (error) {
    logger.warn('the socket stays with its group', { path: file, group, error })
  }
}

/** A socket on which nobody listens any more is what a killed daemon left. Throws DaemonError for anything else in that place. */
async function removeStale(file: string): Promise<void> {
  const found = lstatSync(file, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket()) throw new DaemonError('ERR_DAEMON_LISTEN', `${file} is there and is no socket`)
  if (await answers(file)) throw new DaemonError('ERR_DAEMON_LISTEN', `another process listens on ${file}`)
  unlinkSync(file)
}

function answers(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(file, () => {
      socket.destroy()
      resolve(true)
    })
    // EAGAIN: its queue is full, so it lives.
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'))
  })
}

/** Number of a group in /etc/group; undefined when there is none of that name. */
export function groupId(name: string, file = '/etc/group'): number | undefined {
  if (name === '') return undefined
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
  const entry = text.split('\n').find((line) => line.startsWith(`${name}:`))
  const gid = Number(entry?.split(':')[2])
  return Number.isInteger(gid) ? gid : undefined
}

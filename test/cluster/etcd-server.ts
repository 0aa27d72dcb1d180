// etcd of one or several members on the loopback.
import { freePorts, programMissing, StoreServer } from './store-server.ts'

export const etcdMissing = programMissing('etcd', 'etcd-server')

export interface EtcdCluster {
  readonly members: readonly StoreServer[]
  /** For --cluster-store, without a prefix. */
  readonly url: string
  close(): Promise<void>
}

export async function startEtcd(count = 1, more: readonly string[] = []): Promise<EtcdCluster> {
  // A port that nobody had a moment ago may have gone to somebody else.
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryEtcd(count, more)
    } catch (error) {
      if (attempt === 3) throw error
    }
  }
}

async function tryEtcd(count: number, more: readonly string[]): Promise<EtcdCluster> {
  const ports = await freePorts(2 * count)
  const client = (index: number): string => `http://127.0.0.1:${ports[2 * index]}`
  const peer = (index: number): string => `http://127.0.0.1:${ports[2 * index + 1]}`
  const all = Array.from({ length: count }, (_, index) => `m${index}=${peer(index)}`).join(',')
  const members = Array.from(
    { length: count },
    (_, index) =>
      new StoreServer(ports[2 * index], (folder) => [
        'etcd',
        ...['--name', `m${index}`, '--data-dir', `${folder}/data`, '--log-level', 'error', '--unsafe-no-fsync'],
        ...['--listen-client-urls', client(index), '--advertise-client-urls', client(index)],
        ...['--listen-peer-urls', peer(index), '--initial-advertise-peer-urls', peer(index), '--initial-cluster', all],
        ...more
      ])
  )
  const url = `etcd://${members.map(({ port }) => `127.0.0.1:${port}`).join(',')}`
  const close = async (): Promise<void> => void (await Promise.all(members.map((member) => member.close())))
  try {
    await Promise.all(members.map((member) => member.start(() => isHealthy(member.port))))
  } catch (error) {
    await close()
    throw error
  }
  return { members, url, close }
}

export async function isHealthy(port: number): Promise<boolean> {
  try {
    return ((await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as { health?: string }).health === 'true'
  } catch {
    return false
  }
}

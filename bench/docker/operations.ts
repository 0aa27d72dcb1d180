/**
 * What a user waits for: a network made and removed, a container from its creation to its removal. Every request over one HTTP
 * connection but exec's, which takes its own over (on both daemons). Milliseconds.
 */
import { ApiConnection } from '../../test/docker-lab/api-connection.ts'
import type { DockerPeer } from './docker-peer.ts'

export const OPERATIONS = {
  networkCreate: 'network create',
  networkRemove: 'network rm',
  network: 'network create + rm',
  create: 'container create',
  start: 'container start',
  packet: 'first packet (exec ping)',
  stop: 'container stop, time-out 0',
  remove: 'container rm',
  container: 'container create + start + first packet + stop + rm'
} as const

export type Operation = keyof typeof OPERATIONS
export type OperationTimes = Record<Operation, number>

const GATEWAY = '10.251.0.1'

/** Makes the network that the containers of `measureOperations` join. */
export async function prepareOperations({ api }: DockerPeer): Promise<void> {
  await api.ok('POST', '/v1.41/networks/create', { Name: 'measure', IPAM: { Config: [{ Subnet: '10.251.0.0/24' }] } })
}

/** Each operation once. */
export async function measureOperations({ api, lab }: DockerPeer): Promise<OperationTimes> {
  const times = {} as OperationTimes
  const timed = async <T>(operation: Operation, body: () => Promise<T>): Promise<T> => {
    const start = performance.now()
    const result = await body()
    times[operation] = performance.now() - start
    return result
  }

  await timed('network', async () => {
    const { Id } = await timed('networkCreate', () => api.ok<{ Id: string }>('POST', '/v1.41/networks/create', { Name: 'short' }))
    await timed('networkRemove', () => api.ok('DELETE', `/v1.41/networks/${Id}`))
  })

  await timed('container', async () => {
    const body = { Image: 'busybox', Tty: true, OpenStdin: true, HostConfig: { NetworkMode: 'measure' } }
    const { Id } = await timed('create', () => api.ok<{ Id: string }>('POST', '/v1.41/containers/create', body))
    const at = `/v1.41/containers/${Id}`
    await timed('start', () => api.ok('POST', `${at}/start`))
    await timed('packet', async () => {
      const ping = ['ping', '-c', '1', '-W', '1', GATEWAY]
      const exec = await api.ok<{ Id: string }>('POST', `${at}/exec`, { Cmd: ping, AttachStdout: true })
      const own = new ApiConnection(lab.socket)
      const { text } = await own.request('POST', `/v1.41/exec/${exec.Id}/start`, { Detach: false })
      own.close()
      if (!text.includes('1 packets received')) throw new Error(`the gateway did not answer: ${text.slice(0, 200)}`)
    })
    await timed('stop', () => api.ok('POST', `${at}/stop?t=0`))
    await timed('remove', () => api.ok('DELETE', at))
  })
  return times
}

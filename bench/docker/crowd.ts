/**
 * 1,000 networks and 1,000 containers at once on one daemon: how long they take, what memory daemon and shims hold, how fast the API
 * lists them, how long a restart of the daemon takes with all of them running.
 */
import { readFileSync } from 'node:fs'
import { labProcesses } from '../../test/docker-lab/leak-count.ts'
import type { DockerPeer } from './docker-peer.ts'

export interface CrowdResult {
  readonly networks: number
  readonly containers: number
  /** Seconds to make all networks, and to create and start all containers, eight requests in flight. */
  readonly networkSeconds: number
  readonly containerSeconds: number
  /** Bytes of the daemon and all shims; the containers' own processes are not counted. */
  readonly rss: number
  readonly pss: number
  readonly daemonRss: number
  readonly daemonPss: number
  readonly shims: number
  /** Medians, milliseconds. */
  readonly listContainers: number
  readonly listNetworks: number
  /** Seconds from SIGKILL to the first answer of the next daemon, and whether every container was still running. */
  readonly restartSeconds: number
  readonly restored: number
}

const IN_FLIGHT = 8
const LISTS = 15

/** One container on each network; with fewer networks than containers they go round. */
export async function measureCrowd(
  peer: DockerPeer,
  networks: number,
  containers: number,
  progress: (line: string) => void,
  signal: AbortSignal
): Promise<CrowdResult> {
  const { api, lab } = peer
  const inFlight = async (count: number, body: (index: number) => Promise<unknown>): Promise<number> => {
    const start = performance.now()
    let next = 0
    const work = async (): Promise<void> => {
      while (next < count && !signal.aborted) await body(next++)
    }
    await Promise.all(Array.from({ length: IN_FLIGHT }, work))
    signal.throwIfAborted()
    return (performance.now() - start) / 1000
  }
  const networkSeconds = await inFlight(networks, (index) =>
    api.ok('POST', '/v1.41/networks/create', {
      Name: `crowd${index}`,
      IPAM: { Config: [{ Subnet: `10.${100 + (index >> 8)}.${index & 255}.0/24` }] }
    })
  )
  progress(`  ${networks} networks in ${networkSeconds.toFixed(1)} s`)
  const containerSeconds = await inFlight(containers, async (index) => {
    await peer.run(`crowd${index}`, {
      Image: 'busybox',
      Cmd: ['sleep', '100000'],
      HostConfig: { NetworkMode: `crowd${index % networks}` }
    })
    if (index % 100 === 99) progress(`  ${index + 1} containers`)
  })

  const lists = async (path: string, expected: number): Promise<number> => {
    const times: number[] = []
    for (let round = 0; round < LISTS; round++) {
      const start = performance.now()
      const list = await api.ok<unknown[]>('GET', path)
      times.push(performance.now() - start)
      if (list.length < expected) throw new Error(`${path} lists ${list.length}, ${expected} were made`)
    }
    return times.sort((a, b) => a - b)[LISTS >> 1]
  }
  const listContainers = await lists('/v1.41/containers/json?all=1', containers)
  const listNetworks = await lists('/v1.41/networks', networks)
  const memory = memoryOf(peer)

  const start = performance.now()
  await lab.kill()
  await lab.start()
  const restartSeconds = (performance.now() - start) / 1000
  const running = await api.ok<{ State: string }[]>('GET', '/v1.41/containers/json')
  return {
    networks,
    containers,
    networkSeconds,
    containerSeconds,
    ...memory,
    listContainers,
    listNetworks,
    restartSeconds,
    restored: running.length
  }
}

function memoryOf({ lab }: DockerPeer): Pick<CrowdResult, 'rss' | 'pss' | 'daemonRss' | 'daemonPss' | 'shims'> {
  const daemon = lab.daemonPid
  let rss = 0
  let pss = 0
  let shims = 0
  for (const pid of labProcesses(lab)) {
    // A shim is known by its command line, which names the lab's folder; the containers' processes do not.
    let command: string
    try {
      command = readFileSync(`/proc/${pid}/cmdline`, 'latin1')
    } catch {
      continue
    }
    if (pid !== daemon && !command.includes('shim')) continue
    const use = memory(pid)
    rss += use.rss
    pss += use.pss
    if (pid !== daemon) shims++
  }
  const own = memory(daemon)
  return { rss, pss, daemonRss: own.rss, daemonPss: own.pss, shims }
}

/** Bytes, from /proc/PID/smaps_rollup (proc(5)); 0 for a process that has ended. */
function memory(pid: number): { rss: number; pss: number } {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
    const kibibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024
    return { rss: kibibytes('Rss'), pss: kibibytes('Pss') }
  } catch {
    return { rss: 0, pss: 0 }
  }
}

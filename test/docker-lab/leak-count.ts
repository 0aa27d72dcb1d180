// What a daemon and its shims hold of the machine, for comparison before and after.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { ApiConnection } from './api-connection.ts'
import type { DockerLab } from './docker-lab.ts'

export interface Holdings {
  /** Network namespaces in which some process of the lab is. */
  readonly namespaces: number
  readonly daemonFds: number
  readonly daemonThreads: number
  readonly taps: number
  /** Mounts in the daemon's mount namespace. */
  readonly mounts: number
  /** Processes in the daemon's host: daemon, shims, containers. */
  readonly processes: number
}

/** Processes that see the lab's state directory in their command line or are in a namespace below the lab's host. */
export function labProcesses(lab: DockerLab): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        // Shims and containers inherit it from the daemon; a program that cleared its environment is found by its parents.
        return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`LAB=${lab.folder}\0`) || belowShim(pid, lab.folder)
      } catch {
        return false
      }
    })
}

function belowShim(pid: number, folder: string): boolean {
  for (let at = pid, steps = 0; at > 1 && steps < 20; steps++) {
    if (readFileSync(`/proc/${at}/cmdline`, 'latin1').includes(folder)) return true
    at = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${at}/status`, 'latin1'))?.[1] ?? 0)
  }
  return false
}

export function holdings(lab: DockerLab): Holdings {
  const daemon = lab.daemonPid
  const processes = labProcesses(lab)
  const namespaces = new Set<string>()
  for (const pid of processes) {
    try {
      namespaces.add(readlinkSync(`/proc/${pid}/ns/net`))
    } catch {}
  }
  const fds = readdirSync(`/proc/${daemon}/fd`)
  const targets = fds.map((fd) => {
    try {
      return readlinkSync(`/proc/${daemon}/fd/${fd}`)
    } catch {
      return ''
    }
  })
  return {
    namespaces: namespaces.size,
    daemonFds: fds.length,
    daemonThreads: readdirSync(`/proc/${daemon}/task`).length,
    taps: targets.filter((target) => target === '/dev/net/tun').length,
    mounts: readFileSync(`/proc/${daemon}/mountinfo`, 'latin1').split('\n').length - 1,
    processes: processes.length
  }
}

/** Waits (at most `seconds`) until the lab holds no more than `before`: what has been closed goes a moment later. */
export async function backTo(lab: DockerLab, before: Holdings, seconds = 120): Promise<Holdings> {
  let now = holdings(lab)
  for (let tries = 0; tries < seconds * 5; tries++) {
    now = holdings(lab)
    if (Object.keys(before).every((key) => now[key as keyof Holdings] <= before[key as keyof Holdings])) break
    // Descriptors of objects without owner go with a collection, which an idle daemon has no reason for. A connection that stayed
    // open would be one of the daemon's descriptors itself.
    const api = new ApiConnection(lab.socket)
    await api.request('GET', '/_ping')
    api.close()
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  return now
}

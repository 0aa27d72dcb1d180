/** Ends a lab, whatever its process has come to. */
import { readFileSync } from 'node:fs'
import { makeDirectories } from '../daemon/directories.ts'
import { endShims } from '../docker/container/end-shims.ts'
import { sleep } from '../engine/index.ts'
import type { LabDirectory } from './lab-directory.ts'
import { LabError } from './lab-error.ts'

/** Between two looks at whether a process has ended. */
const LOOK_MS = 50

/** What the process of a lab that was killed has left: shims, and with them containers and their namespaces. */
export async function clearLeftovers(directory: LabDirectory): Promise<void> {
  await Promise.all(
    directory.hosts.map(async (path) => {
      const { run, containers } = makeDirectories(path, directory.sockets)
      await endShims(run, containers)
    })
  )
}

/**
 * Tells the lab's process to end and waits until it has; clears up what is left when there is none. One that is being started in the
 * background is ended by who starts it. Rejects with LabError `stop` when it does not end in time, `running` when another one of the name has begun meanwhile.
 */
export async function removeLab(directory: LabDirectory, timeoutMs: number): Promise<void> {
  const { starter } = directory
  if (starter !== null) await end(starter.pid, directory.name, timeoutMs)
  const { holder } = directory
  if (holder !== null) await end(holder.pid, directory.name, timeoutMs)
  await clearLab(directory)
}

/** What is left of a lab that nobody has. Rejects with LabError `running` when somebody has it. */
export async function clearLab(directory: LabDirectory): Promise<void> {
  // From here on an `up` of the name is refused, or has refused us: what it starts is not taken for left-overs.
  const release = directory.acquire()
  try {
    await clearLeftovers(directory)
    directory.remove()
  } finally {
    release()
  }
}

/** Tells a process to end and waits until it has. Rejects with LabError `stop`. */
async function end(pid: number, lab: string, timeoutMs: number): Promise<void> {
  if (pid === 0) {
    // No process of ours: the number would name our own process group.
    throw new LabError('ERR_LAB_STOP', `the lab '${lab}' is held by a process that cannot be seen from here`, {
      fix: 'try again; if that does not help, end it where it was started'
    })
  }
  tellToEnd(pid, lab)
  for (let waited = 0; isAlive(pid); waited += LOOK_MS) {
    if (waited >= timeoutMs) {
      throw new LabError('ERR_LAB_STOP', `the lab '${lab}', process ${pid}, has not ended in ${timeoutMs / 1000} s`, {
        fix: `kill -9 ${pid}, then netloom down --project ${lab} again: it clears up`
      })
    }
    await sleep(LOOK_MS)
  }
}

/** One that has ended since it was seen needs no telling. Throws LabError `stop`: it is somebody else's. */
function tellToEnd(pid: number, lab: string): void {
  try {
    process.kill(pid, 'SIGTERM')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ESRCH') return
    throw new LabError('ERR_LAB_STOP', `the lab '${lab}', process ${pid}, cannot be told to end: ${message}`, {
      fix: 'run netloom down as the user who started it'
    })
  }
}

/** A zombie is not: it holds nothing, and stays until whoever started it asks for its status. */
function isAlive(pid: number): boolean {
  try {
    // proc(5), /proc/PID/stat: the name, the only thing in parentheses, may have any characters; behind it the state is field 3.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
    // A first thread that ended before the others looks like one too, but the others still hold the lab: field 20 counts them.
    return !(['Z', 'X'].includes(fields[0]) && Number(fields[17]) <= 1)
  } catch {
    return false
  }
}

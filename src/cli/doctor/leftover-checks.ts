/** What killed runs left behind: it should be nothing, since shims end with their owner. */
import path from 'node:path'
import { type Check, ok, warn } from './check.ts'
import type { Machine } from './machine.ts'

/** Folders of a run carry the id of the process that made them. */
const RUN_FOLDER = /^netloom-(\d+)(-|$)/
/** `comm` holds 15 bytes. */
const SHIM = 'netloom-shim'

export function checkLeftovers(machine: Machine): Check {
  const folders = abandonedFolders(machine)
  const shims = orphanedShims(machine)
  if (folders.length === 0 && shims.length === 0) return ok('leftovers', 'nothing is left of earlier runs')
  const found = [...folders, ...shims.map((pid) => `process ${pid} (${SHIM})`)].join(', ')
  const steps = [...(shims.length > 0 ? [`kill ${shims.join(' ')}`] : []), ...(folders.length > 0 ? [`rm -r ${folders.join(' ')}`] : [])]
  return warn('leftovers', `left by runs that were killed: ${found}`, steps.join('\n'))
}

function abandonedFolders(machine: Machine): string[] {
  const places = new Set(['/run', machine.env['XDG_RUNTIME_DIR'], machine.env['TMPDIR'] ?? '/tmp'].filter((place) => place !== undefined))
  return [...places].flatMap((place) =>
    machine
      .list(place)
      .filter((name) => {
        const owner = RUN_FOLDER.exec(name)?.[1]
        return owner !== undefined && !machine.isAlive(Number(owner))
      })
      .map((name) => path.join(place, name))
  )
}

/**
 * Owner-bound shims that init has inherited. Surviving ones (started with --listen) are its children on purpose, and where a
 * container has node as its process 1, that is the owner.
 */
function orphanedShims(machine: Machine): number[] {
  if (machine.read('/proc/1/comm') === 'node') return []
  return machine
    .list('/proc')
    .filter((name) => /^\d+$/.test(name) && machine.read(`/proc/${name}/comm`) === SHIM)
    .filter((name) => machine.read(`/proc/${name}/cmdline`)?.includes('--owner-bound'))
    .filter((name) => /^PPid:\s+1$/m.test(machine.read(`/proc/${name}/status`) ?? ''))
    .map(Number)
}

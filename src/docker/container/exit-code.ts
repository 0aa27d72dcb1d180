import { constants } from 'node:os'
import type { ExitStatus } from '../../sandbox/sandbox-process.ts'

/** Of a process whose end nobody saw: it was killed with its shim. */
export const LOST = 137

/** A shell's exit status: 128 and the number of the signal that ended it. null: not known. */
export function exitCodeOf(status: ExitStatus | null): number {
  if (status === null) return LOST
  if (status.code !== null) return status.code
  const signal = status.signal ?? ''
  return 128 + ((constants.signals as Record<string, number>)[signal] ?? Number(signal.slice('SIG'.length)))
}

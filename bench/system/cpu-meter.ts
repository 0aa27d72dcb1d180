/**
 * CPU time from /proc, in seconds: of the whole machine (which counts what the kernel does in softirqs and in the ends'
 * own system calls, so that all paths compare) and of the processes that carry the frames.
 */
import { readFileSync } from 'node:fs'

/** USER_HZ, which /proc is written in on every Linux that node runs on. */
const TICKS_PER_SECOND = 100

export interface CpuUse {
  readonly machine: number
  readonly forwarders: number
}

export class CpuMeter {
  private readonly pids: readonly number[]
  private readonly before: CpuUse

  constructor(pids: readonly number[]) {
    this.pids = pids
    this.before = this.read()
  }

  /** Seconds since the meter was made. */
  get used(): CpuUse {
    const now = this.read()
    return { machine: now.machine - this.before.machine, forwarders: now.forwarders - this.before.forwarders }
  }

  private read(): CpuUse {
    return { machine: machineSeconds(), forwarders: this.pids.reduce((sum, pid) => sum + processSeconds(pid), 0) }
  }
}

/** user, nice, system, irq, softirq; not idle, iowait, steal (proc(5), /proc/stat). */
function machineSeconds(): number {
  const fields = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0].trim().split(/\s+/).slice(1).map(Number)
  const [user, nice, system, , , irq, softirq] = fields
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND
}

/** utime and stime of all its threads (proc(5), /proc/PID/stat); 0 when it has ended. */
function processSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  } catch {
    return 0
  }
}

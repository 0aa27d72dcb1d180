/** What figures were measured on. No host name: the tables are published. */
import { cpus, loadavg, release, totalmem } from 'node:os'

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly node: string
  readonly v8: string
  /** Processes that wanted to run in the last minute: above 1 the figures are disturbed. */
  readonly load: number
  /** ISO 8601. */
  readonly date: string
}

export function thisMachine(): Machine {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    v8: process.versions.v8,
    load: Math.round(loadavg()[0] * 100) / 100,
    date: new Date().toISOString()
  }
}

export function describeMachine({ processor, cores, memoryGiB, kernel, node, v8, load, date }: Machine): string {
  return `${processor}, ${cores} cores, ${memoryGiB} GiB; Linux ${kernel}; Node ${node} (V8 ${v8}); load ${load} at the start; ${date.slice(0, 10)}`
}

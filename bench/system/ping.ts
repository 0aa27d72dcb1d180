import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BenchError } from './bench-process.ts'
import type { RunningPath } from './path-case.ts'

export interface PingResult {
  /** Microseconds. */
  readonly average: number
  readonly p50: number
  readonly p99: number
}

/**
 * Round trips, one echo in flight: `ping -f` for the average; its quiet output has no percentiles, so `ping -A`, which prints
 * each round trip (to a microsecond), gives those.
 */
export async function runPing(path: RunningPath, count: number): Promise<PingResult> {
  const flood = await ping(path, ['-f', '-q', '-c', String(count)])
  const average = /= [\d.]+\/([\d.]+)\//.exec(flood)?.[1]
  const each = await ping(path, ['-A', '-c', String(Math.ceil(count / 4))])
  const times = [...each.matchAll(/time=([\d.]+) ms/g)].map((match) => Number(match[1]) * 1000).sort((a, b) => a - b)
  if (average === undefined || times.length === 0) throw new BenchError(`ping ${path.address}: no answer`)
  const percentile = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))]
  return { average: Number(average) * 1000, p50: percentile(0.5), p99: percentile(0.99) }
}

/** A round trip may take a busy machine many times as long; the limit only ends what hangs. Seconds. */
const LIMIT = 60

/** Its output goes to a file: reading line by line would have this process run between two round trips. */
async function ping(path: RunningPath, options: string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), `netloom-bench-${process.pid}-`))
  try {
    const file = join(folder, 'ping')
    const command = ['sh', '-c', 'file=$1; shift; exec ping "$@" >"$file"', 'sh', file, '-n', '-w', String(LIMIT)]
    await path.client.start(...command, ...options, path.address).finish(2 * LIMIT)
    return readFileSync(file, 'latin1')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** `healthcheck` of a service, and spans of time. */
import type { HealthConfig } from '../api/container-json.ts'
import { parseGoDuration } from '../docker/go-time.ts'
import type { Value } from './value.ts'

export function readHealthcheck(value: Value): HealthConfig {
  const given = value.members(['test', 'interval', 'timeout', 'retries', 'start_period', 'disable'])
  if (given.disable?.boolean() === true) return { Test: ['NONE'] }
  return {
    ...(given.test !== undefined && { Test: readTest(given.test) }),
    ...(given.interval !== undefined && { Interval: readDuration(given.interval) }),
    ...(given.timeout !== undefined && { Timeout: readDuration(given.timeout) }),
    ...(given.start_period !== undefined && { StartPeriod: readDuration(given.start_period) }),
    ...(given.retries !== undefined && { Retries: given.retries.integer(0, 1000) })
  }
}

function readTest(value: Value): string[] {
  if (!value.isList) return ['CMD-SHELL', value.word()]
  const words = value.texts()
  const [first = ''] = words
  if (first === 'NONE' || ((first === 'CMD' || first === 'CMD-SHELL') && words.length > 1)) return words
  return value.fail(`a list begins with NONE, CMD or CMD-SHELL, not '${first}'`)
}

/** Nanoseconds of `1m30s`. */
export function readDuration(value: Value): number {
  const text = value.word()
  const span = parseGoDuration(text)
  if (span === undefined || span < 0n) return value.fail(`'${text}' is no span of time such as 500ms, 10s or 1m30s`)
  return Number(span)
}

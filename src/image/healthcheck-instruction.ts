import type { HealthConfig, ImageConfig } from './image-config.ts'
import { ImageError } from './image-error.ts'
import { parseJsonWords } from './instruction-words.ts'

const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 }
const MILLISECOND = 1e6

/** `HEALTHCHECK [--interval=30s ...] CMD command` or `HEALTHCHECK NONE`. ImageError 'invalid' with Docker's text. */
export function applyHealthcheck(config: ImageConfig, rest: string): void {
  const options = new Map<string, string>()
  let text = rest.trim()
  for (let match = OPTION.exec(text); match !== null; match = OPTION.exec(text)) {
    options.set(match[1]!, match[2]!)
    text = text.slice(match[0].length)
  }
  const [, word = '', argument = ''] = /^(\S+)\s*(.*)$/s.exec(text) ?? []
  const kind = word.toUpperCase()
  if (kind === '') throw new ImageError('invalid', 'HEALTHCHECK requires at least one argument')
  if (kind === 'NONE') {
    if (argument !== '') throw new ImageError('invalid', 'HEALTHCHECK NONE takes no arguments')
    config.Healthcheck = { Test: ['NONE'] }
    return
  }
  if (kind !== 'CMD') throw new ImageError('invalid', `Unknown type ${JSON.stringify(kind)} in HEALTHCHECK (try CMD)`)
  const words = parseJsonWords(argument)
  if (argument.trim() === '' || words?.length === 0) throw new ImageError('invalid', 'Missing command after HEALTHCHECK CMD')
  const health: HealthConfig = { Test: words === null ? ['CMD-SHELL', argument.trim()] : ['CMD', ...words] }
  for (const [name, value] of options) applyOption(health, name, value)
  config.Healthcheck = health
}

const OPTION = /^--([a-z-]+)=(\S*)\s*/

function applyOption(health: HealthConfig, name: string, value: string): void {
  if (name === 'interval') health.Interval = duration(name, value)
  else if (name === 'timeout') health.Timeout = duration(name, value)
  else if (name === 'start-period') health.StartPeriod = duration(name, value)
  else if (name === 'retries') {
    if (!/^[1-9]\d*$/.test(value)) throw new ImageError('invalid', `--retries must be at least 1 (not ${value})`)
    health.Retries = Number(value)
  } else throw new ImageError('invalid', `Unknown flag: ${name}`)
}

/** Nanoseconds of Go's '1m30s'. */
function duration(name: string, text: string): number {
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) {
    throw new ImageError('invalid', `time: invalid duration ${JSON.stringify(text)}`)
  }
  let sum = 0
  for (const [, number, , unit] of text.matchAll(/(\d+(\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) sum += Number(number) * UNITS[unit!]!
  if (sum < MILLISECOND) throw new ImageError('invalid', `Interval ${JSON.stringify(name)} cannot be less than 1ms`)
  return Math.round(sum)
}

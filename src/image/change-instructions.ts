/**
 * The instructions of `docker import --change`, in Dockerfile syntax: what each does to an image's configuration.
 * Source of syntax and texts: Docker's Dockerfile reference and the daemon's own messages.
 */

import { applyHealthcheck } from './healthcheck-instruction.ts'
import { emptyConfig, type ImageConfig } from './image-config.ts'
import { ImageError } from './image-error.ts'
import { parseJsonWords, parseNameValues, splitWords } from './instruction-words.ts'

type Apply = (config: ImageConfig, rest: string, instruction: string) => void

const INSTRUCTIONS: Readonly<Record<string, Apply>> = {
  CMD: (config, rest) => {
    config.Cmd = command(rest)
  },
  ENTRYPOINT: (config, rest) => {
    config.Entrypoint = command(rest)
  },
  ENV: (config, rest) => {
    const pairs = parseNameValues('ENV', rest, config.Env ?? [])
    for (const [name, value] of pairs)
      config.Env = [...(config.Env ?? []).filter((entry) => !entry.startsWith(`${name}=`)), `${name}=${value}`]
  },
  LABEL: (config, rest) => {
    config.Labels = { ...config.Labels, ...Object.fromEntries(parseNameValues('LABEL', rest, config.Env ?? [])) }
  },
  EXPOSE: (config, rest) => {
    config.ExposedPorts = {
      ...config.ExposedPorts,
      ...Object.fromEntries(
        needed('EXPOSE', rest)
          .flatMap(exposedPorts)
          .map((port) => [port, {}])
      )
    }
  },
  USER: (config, rest) => {
    config.User = single('USER', rest)
  },
  WORKDIR: (config, rest) => {
    const folder = single('WORKDIR', rest)
    config.WorkingDir = folder.startsWith('/') ? clean(folder) : clean(`/${config.WorkingDir}/${folder}`)
  },
  VOLUME: (config, rest) => {
    const volumes = parseJsonWords(rest) ?? needed('VOLUME', rest)
    if (volumes.some((volume) => volume.trim() === '')) throw invalid('VOLUME specified can not be an empty string')
    config.Volumes = { ...config.Volumes, ...Object.fromEntries(volumes.map((volume) => [volume.trim(), {}])) }
  },
  STOPSIGNAL: (config, rest) => {
    const signal = single('STOPSIGNAL', rest)
    if (!isSignal(signal)) throw invalid(`Invalid signal: ${signal}`)
    config.StopSignal = signal
  },
  HEALTHCHECK: (config, rest) => applyHealthcheck(config, rest),
  ONBUILD: (config, rest) => {
    const inner = rest.trim().split(/\s+/)[0]!.toUpperCase()
    if (inner === '') throw invalid('ONBUILD requires at least one argument')
    if (inner === 'ONBUILD') throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if (inner === 'MAINTAINER' || inner === 'FROM') throw invalid(`${inner} isn't allowed as an ONBUILD trigger`)
    config.OnBuild = [...(config.OnBuild ?? []), rest.trim()]
  }
}

/** A configuration from instructions, each one line. ImageError 'invalid' with Docker's text. */
export function applyChanges(changes: readonly string[], config: ImageConfig = emptyConfig()): ImageConfig {
  for (const line of changes.flatMap((change) => change.split('\n')).map((text) => text.trim())) {
    if (line === '' || line.startsWith('#')) continue
    const [, word, rest] = /^(\S+)\s*(.*)$/s.exec(line)!
    const instruction = word!.toUpperCase()
    if (!Object.hasOwn(INSTRUCTIONS, instruction)) {
      throw invalid(`${instruction.toLowerCase()} is not a valid change command`)
    }
    INSTRUCTIONS[instruction]!(config, rest!, instruction)
  }
  return config
}

/** A JSON list is the command's words; any other text is run by a shell. */
function command(rest: string): string[] | null {
  const words = parseJsonWords(rest)
  if (words !== null) return words
  return rest.trim() === '' ? [] : ['/bin/sh', '-c', rest.trim()]
}

function single(instruction: string, rest: string): string {
  const text = rest.trim()
  if (text === '') throw invalid(`${instruction} requires exactly one argument`)
  return text
}

function needed(instruction: string, rest: string): string[] {
  const words = splitWords(rest)
  if (words.length === 0) throw invalid(`${instruction} requires at least one argument`)
  return words
}

/** '80', '53/udp', '8000-8002/tcp' */
function exposedPorts(text: string): string[] {
  const match = /^(\d+)(?:-(\d+))?(?:\/(.+))?$/.exec(text)
  if (match === null) throw invalid(`invalid containerPort: ${text}`)
  const protocol = (match[3] ?? 'tcp').toLowerCase()
  if (!['tcp', 'udp', 'sctp'].includes(protocol)) throw invalid(`invalid proto: ${protocol}`)
  const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])]
  if (first > 65535 || last > 65535 || last < first) throw invalid(`invalid containerPort: ${text}`)
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`)
}

/** A path without '.', '..' and doubled slashes. */
function clean(folder: string): string {
  const parts: string[] = []
  for (const part of folder.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return `/${parts.join('/')}`
}

const SIGNALS =
  'ABRT ALRM BUS CHLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ'

/** A number from 1 to 64, or a name with or without SIG. */
function isSignal(text: string): boolean {
  if (/^\d+$/.test(text)) return Number(text) >= 1 && Number(text) <= 64
  const name = text.toUpperCase().replace(/^SIG/, '')
  return SIGNALS.split(' ').includes(name) || /^RT(MIN(\+([1-9]|1[0-5]))?|MAX(-([1-9]|1[0-4]))?)$/.test(name)
}

function invalid(message: string): ImageError {
  return new ImageError('invalid', message)
}

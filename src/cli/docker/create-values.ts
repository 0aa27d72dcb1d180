/** What Docker's client refuses or rewrites in the options of `run` and `create` before the daemon sees them. */
import { existsSync, readFileSync } from 'node:fs'
import net from 'node:net'
import type { HostConfig, RestartPolicy } from '../../api/container-json.ts'
import { CliError } from '../cli-error.ts'
import type { CreateOptions } from './create-options.ts'
import { readPairs } from './docker-command.ts'
import { FlagError } from './flag-value.ts'

/** Of Windows, or of a newer API than the daemon's (1.43): Docker's client knows them and refuses them here. */
const REFUSED_HERE: readonly (readonly [name: keyof CreateOptions, why: string])[] = [
  ...(['cpuCount', 'cpuPercent', 'ioMaxbandwidth', 'ioMaxiops'] as const).map(
    (name) => [name, 'is only supported on a Docker daemon running on windows, but the Docker daemon is running on linux'] as const
  ),
  ['healthStartInterval', 'requires API version 1.44, but the Docker daemon API version is 1.43']
]

/** Throws CliError, RangeError or FlagError with Docker's text. Of several mistakes a flag's own value comes first, as there. */
export function checkValues(options: CreateOptions): void {
  for (const name of options.env ?? []) {
    if (name === '' || name.startsWith('=')) throw new FlagError(name, '-e, --env', `invalid environment variable: ${name}`)
  }
  for (const label of options.label ?? []) {
    if (label === '' || label.startsWith('=')) throw new FlagError(label, '-l, --label', `invalid label '${label}': empty name`)
  }
  for (const link of options.link ?? []) {
    if (link.split(':').length > 2) throw new FlagError(link, '--link', `bad format for links: ${link}`)
  }
  for (const setting of options.sysctl ?? []) {
    if (!isAllowedSysctl(setting.split('=')[0]!) || !setting.includes('=')) {
      throw new FlagError(setting, '--sysctl', `sysctl '${setting}' is not allowed`)
    }
  }
  const refused = REFUSED_HERE.filter(([name]) => options[name] !== undefined)
  if (refused.length > 0) {
    const lines = refused.map(([name, why]) => `"--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}" ${why}`)
    throw new CliError(lines.join('\n'), { code: 'ERR_USAGE', isPlain: true })
  }
}

/** The modes of namespaces, and what may not be given together. */
export function checkModes(options: CreateOptions): void {
  const { pid = '', uts = '', userns = '', pull = '', rm, restart, volume = [] } = options
  if (!['', 'host'].includes(pid) && !/^container:./.test(pid)) throw new RangeError('--pid: invalid PID mode')
  if (!['', 'host'].includes(uts)) throw new RangeError('--uts: invalid UTS mode')
  if (!['', 'host'].includes(userns)) throw new RangeError('--userns: invalid USER mode')
  if (volume.includes('')) throw new RangeError('invalid empty volume spec')
  if (rm === true && restart !== undefined && restart !== 'no')
    throw new RangeError('conflicting options: cannot specify both --restart and --rm')
  if (!['', 'always', 'missing', 'never'].includes(pull))
    throw new RangeError(`invalid pull option: '${pull}': must be one of "always", "missing" or "never"`)
  if (options.cidfile !== undefined && existsSync(options.cidfile)) {
    const message = `container ID file found, make sure the other container isn't running or delete ${options.cidfile}`
    throw new CliError(message, { code: 'ERR_USAGE', isPlain: true })
  }
}

const SYSCTLS = new Set(
  'kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni kernel.shm_rmid_forced'.split(' ')
)

function isAllowedSysctl(name: string): boolean {
  return SYSCTLS.has(name) || name.startsWith('net.') || name.startsWith('fs.mqueue.')
}

/** 'name:address' of 'name=address', with the brackets of an IPv6 address taken away. */
export function extraHost(text: string): string {
  const at = text.includes('=') ? text.indexOf('=') : text.indexOf(':')
  const [name, address] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)]
  if (at === -1 || name === '') throw new FlagError(text, '--add-host', `bad format for add-host: "${text}"`)
  const bare = address.replace(/^\[(.*)\]$/, '$1')
  if (bare !== 'host-gateway' && net.isIP(bare) === 0)
    throw new FlagError(text, '--add-host', `invalid IP address in add-host: "${address}"`)
  return `${name}:${bare}`
}

export function nameServer(text: string): string {
  const address = text.trim()
  if (net.isIP(address) === 0) throw new FlagError(text, '--dns', `IP address is not correctly formatted: ${text}`)
  return address
}

/** 'CAP_NET_ADMIN' of 'net_admin', each once and in order of names, ALL alone of its kind. */
export function capabilities(names: readonly string[] | undefined): string[] | null {
  if (names === undefined) return null
  const whole = names
    .map((name) => name.trim().toUpperCase())
    .map((name) => (name === 'ALL' || name.startsWith('CAP_') ? name : `CAP_${name}`))
  return [...new Set(whole)].sort()
}

/** A profile of seccomp is read here, as the daemon may be elsewhere; `systempaths` is two lists of paths. */
export function securityOptions(options: readonly string[] | undefined): Partial<HostConfig> {
  if (options === undefined) return { SecurityOpt: null }
  const isOpen = options.includes('systempaths=unconfined')
  const settings = options
    .filter((option) => option !== 'systempaths=unconfined')
    .map((option) => {
      const [, key, value] = /^([^=:]+)[=:](.*)$/s.exec(option) ?? []
      if (key === undefined && option !== 'no-new-privileges') throw new RangeError(`Invalid --security-opt: ${JSON.stringify(option)}`)
      return key === 'seccomp' && value !== 'unconfined' && value !== 'builtin' ? `seccomp=${seccompProfile(value!)}` : option
    })
  return { SecurityOpt: settings, ...(isOpen ? { MaskedPaths: [], ReadonlyPaths: [] } : {}) }
}

function seccompProfile(file: string): string {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new RangeError(`opening seccomp profile (${file}) failed: ${goFileError(error, file)}`, { cause: error })
  }
  try {
    return JSON.stringify(JSON.parse(text))
  } catch (error) {
    throw new RangeError(`compacting json for seccomp profile (${file}) failed: ${(error as Error).message}`, { cause: error })
  }
}

export function logging(driver: string | undefined, settings: readonly string[] | undefined): HostConfig['LogConfig'] {
  if (driver === 'none' && settings !== undefined) throw new RangeError('invalid logging opts for driver none')
  return { Type: driver ?? '', Config: readPairs(settings) }
}

/** NAME[:COUNT] */
export function restartPolicy(text: string): RestartPolicy {
  const colon = text.indexOf(':')
  if (colon === -1) return { Name: text, MaximumRetryCount: 0 }
  if (colon === 0) throw new RangeError('invalid restart policy format: no policy provided before colon')
  const count = text.slice(colon + 1)
  if (!/^[+-]?\d+$/.test(count)) throw new RangeError('invalid restart policy format: maximum retry count must be an integer')
  return { Name: text.slice(0, colon), MaximumRetryCount: Number(count) }
}

/** The lines of a file of variables or labels that say something. RangeError for a file that cannot be read, or a line that is wrong. */
export function linesOf(file: string): string[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const why = goFileError(error, file)
    throw new RangeError(why.startsWith('open ') ? why : `invalid env file (${file}): ${why}`, { cause: error })
  }
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.trimStart())
    .filter((line) => line !== '' && !line.startsWith('#'))
  for (const line of lines) {
    const [name = ''] = line.split('=')
    if (name === '') throw new RangeError(`invalid env file (${file}): no variable name on line '${line}'`)
    if (/\s/.test(name)) throw new RangeError(`invalid env file (${file}): variable '${name}' contains whitespaces`)
  }
  return lines
}

/** 'open /x: no such file or directory', as Go tells it. */
function goFileError(error: unknown, file: string): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'EISDIR') return `read ${file}: is a directory`
  if (code === 'ENOENT') return `open ${file}: no such file or directory`
  if (code === 'EACCES') return `open ${file}: permission denied`
  return `open ${file}: ${message}`
}

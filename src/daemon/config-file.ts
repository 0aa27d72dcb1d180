import { readFileSync } from 'node:fs'
import { withoutPassword } from '../cluster/store-options.ts'
import { type DaemonConfig, isMember, readMember } from './daemon-config.ts'
import { DaemonError } from './daemon-error.ts'

/** Members that were given, each checked. */
export type PartialConfig = Partial<DaemonConfig>

/** Reads a configuration file: one JSON object with members of DaemonConfig. Throws DaemonError. */
export function readConfigFile(file: string): PartialConfig {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new DaemonError('ERR_DAEMON_CONFIG', `configuration file ${file}: ${(error as Error).message}`, { cause: error })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DaemonError('ERR_DAEMON_CONFIG', `configuration file ${file}: it is not a JSON object`)
  }
  const unknown = Object.keys(value).filter((name) => !isMember(name))
  if (unknown.length > 0) {
    const names = unknown.join(', ')
    throw new DaemonError(
      'ERR_DAEMON_CONFIG',
      `configuration file ${file}: the following directives don't match any configuration option: ${names}`
    )
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, readMember(name, member, `configuration file ${file}: ${name}`)])
  )
}

/** Flags and file over the defaults. Throws DaemonError when both say something of the same member, even the same thing. */
export function mergeConfig(defaults: DaemonConfig, flags: PartialConfig, file: PartialConfig, fileName = ''): DaemonConfig {
  const both = Object.entries(flags).filter(([name]) => Object.hasOwn(file, name))
  if (both.length > 0) {
    const list = both.map(
      ([name, value]) => `${name}: (from flag: ${show(name, value)}, from file: ${show(name, file[name as keyof DaemonConfig])})`
    )
    const what = 'the following directives are specified both as a flag and in the configuration file'
    throw new DaemonError('ERR_DAEMON_CONFIG', `configuration file ${fileName}: ${what}: ${list.join(', ')}`)
  }
  return { ...defaults, ...file, ...flags }
}

/** As it is, but for what a log must not have. */
function show(name: string, value: unknown): string {
  if (typeof value === 'object') return JSON.stringify(value, (key, each) => (/password|token/.test(key) ? '***' : each))
  return name === 'cluster-store' ? withoutPassword(String(value)) : String(value)
}

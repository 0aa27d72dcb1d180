/** `--mount type=bind,source=...,target=...`: Docker's long form of a volume. */
import path from 'node:path'
import type { MountRequest } from '../../api/container-json.ts'
import { booleanOf, bytesOf, commaSeparated, FlagError } from './flag-value.ts'

const FLAGS = new Set(['readonly', 'ro', 'volume-nocopy', 'bind-nonrecursive', 'bind-create-src'])

type Volume = NonNullable<MountRequest['VolumeOptions']>

/** Throws FlagError with Docker's text. */
export function mountFlag(text: string): MountRequest {
  const refuse = (why: string): never => {
    throw new FlagError(text, '--mount', why)
  }
  const mount: MountRequest = { Type: 'volume', Target: '' }
  if (text === '') refuse('EOF')
  for (const field of commaSeparated(text)) {
    const equals = field.indexOf('=')
    const key = (equals === -1 ? field : field.slice(0, equals)).toLowerCase()
    if (equals === -1 && !FLAGS.has(key)) refuse(`invalid field '${field}' must be a key=value pair`)
    setField(mount, key, field, equals === -1 ? 'true' : field.slice(equals + 1), refuse)
  }
  const { Type, VolumeOptions, BindOptions, TmpfsOptions } = mount
  if (Type === '') refuse('type is required')
  if (mount.Target === '') refuse('target is required')
  if (VolumeOptions !== undefined && Type !== 'volume') refuse(`cannot mix 'volume-*' options with mount type '${Type}'`)
  if (BindOptions !== undefined && Type !== 'bind') refuse(`cannot mix 'bind-*' options with mount type '${Type}'`)
  if (TmpfsOptions !== undefined && Type !== 'tmpfs') refuse(`cannot mix 'tmpfs-*' options with mount type '${Type}'`)
  return mount
}

function setField(mount: MountRequest, key: string, field: string, value: string, refuse: (why: string) => never): void {
  const flag = (): boolean => booleanOf(value) ?? refuse(`invalid value for ${key}: ${value}`)
  const volume = (options: Volume): void => {
    mount.VolumeOptions = { ...mount.VolumeOptions, ...options }
  }
  switch (key) {
    case 'type':
      mount.Type = value.toLowerCase()
      return
    case 'source':
    case 'src':
      // What begins with a dot is beside us.
      mount.Source = value.startsWith('.') ? path.resolve(value) : value
      return
    case 'target':
    case 'dst':
    case 'destination':
      mount.Target = value
      return
    case 'readonly':
    case 'ro':
      mount.ReadOnly = flag()
      return
    case 'consistency':
      mount.Consistency = value.toLowerCase()
      return
    case 'bind-propagation':
      mount.BindOptions = { ...mount.BindOptions, Propagation: value.toLowerCase() }
      return
    case 'bind-nonrecursive':
      mount.BindOptions = { ...mount.BindOptions, NonRecursive: flag() }
      return
    case 'volume-nocopy':
      return volume({ NoCopy: flag() })
    case 'volume-subpath':
      return volume({ Subpath: value })
    case 'volume-label':
      return volume({ Labels: { ...mount.VolumeOptions?.Labels, ...pair(value) } })
    case 'volume-driver':
      return volume({ DriverConfig: { ...mount.VolumeOptions?.DriverConfig, Name: value } })
    case 'volume-opt': {
      const driver = mount.VolumeOptions?.DriverConfig
      return volume({ DriverConfig: { ...driver, Options: { ...driver?.Options, ...pair(value) } } })
    }
    case 'tmpfs-size': {
      const size = bytesOf(value)
      if (typeof size === 'string') return refuse(`invalid value for ${key}: ${value}`)
      mount.TmpfsOptions = { ...mount.TmpfsOptions, SizeBytes: size }
      return
    }
    case 'tmpfs-mode':
      if (!/^[0-7]+$/.test(value)) refuse(`invalid value for ${key}: ${value}`)
      mount.TmpfsOptions = { ...mount.TmpfsOptions, Mode: Number.parseInt(value, 8) }
      return
    default:
      refuse(`unexpected key '${key}' in '${field}'`)
  }
}

function pair(text: string): Record<string, string> {
  const equals = text.indexOf('=')
  return equals === -1 ? { [text]: '' } : { [text.slice(0, equals)]: text.slice(equals + 1) }
}

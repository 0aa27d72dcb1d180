/** `volumes` and `tmpfs` of a service: what Docker's API calls Binds, Mounts and Tmpfs. */
import path from 'node:path'
import type { MountRequest } from '../api/container-json.ts'
import type { Value } from './value.ts'

export interface ServiceVolumes {
  readonly binds: string[]
  readonly mounts: MountRequest[]
  /** Paths of volumes that have no name. */
  readonly anonymous: Record<string, object>
  /** Volumes of a name, which the file must list. */
  readonly named: readonly { readonly name: string; readonly at: Value }[]
}

/** @param directory what relative paths are relative to: the file's */
export function readVolumes(value: Value | undefined, directory: string): ServiceVolumes {
  const result: ServiceVolumes & { named: { name: string; at: Value }[] } = { binds: [], mounts: [], anonymous: {}, named: [] }
  for (const item of value?.list() ?? []) {
    if (item.isMap) result.mounts.push(readMount(item, directory, result.named))
    else readShort(item, directory, result)
  }
  return result
}

/** `[SOURCE:]TARGET[:MODE]` */
function readShort(item: Value, directory: string, result: ServiceVolumes & { named: { name: string; at: Value }[] }): void {
  const text = item.word()
  const [source = '', target, mode = '', ...rest] = text.split(':')
  if (rest.length > 0) item.fail(`'${text}' is not [SOURCE:]TARGET[:ro]`)
  if (target === undefined) {
    result.anonymous[absolute(item, source)] = {}
    return
  }
  absolute(item, target)
  if (mode !== '' && !mode.split(',').every((word) => ['ro', 'rw', 'z', 'Z', 'cached', 'delegated', 'consistent'].includes(word))) {
    item.fail(`'${mode}' is no mode of a volume: ro or rw`)
  }
  const isPath = /^[./~]/.test(source)
  if (!isPath) result.named.push({ name: source, at: item })
  const from = isPath ? path.resolve(directory, source) : source
  const isReadOnly = mode.split(',').includes('ro')
  result.binds.push(`${from}:${target}${isReadOnly ? ':ro' : ''}`)
}

function readMount(item: Value, directory: string, named: { name: string; at: Value }[]): MountRequest {
  const { type, source, target, read_only: readOnly, tmpfs } = item.members(['type', 'source', 'target', 'read_only', 'tmpfs'])
  const Type = type?.oneOf(['bind', 'volume', 'tmpfs']) ?? item.fail('a type is missing: bind, volume or tmpfs')
  const Target = absolute(item, target?.word() ?? item.fail('a target is missing'))
  if (Type === 'bind' && source === undefined) item.fail('a bind mount needs a source')
  if (Type === 'volume' && source !== undefined) named.push({ name: source.word(), at: source })
  const size = tmpfs?.members(['size', 'mode'])
  return {
    Type,
    Target,
    ...(source !== undefined && { Source: Type === 'bind' ? path.resolve(directory, source.word()) : source.word() }),
    ...(readOnly !== undefined && { ReadOnly: readOnly.boolean() }),
    ...(size !== undefined && {
      TmpfsOptions: {
        ...(size.size !== undefined && { SizeBytes: size.size.integer(0, Number.MAX_SAFE_INTEGER) }),
        ...(size.mode !== undefined && { Mode: Number.parseInt(size.mode.text(), 8) })
      }
    })
  }
}

function absolute(item: Value, target: string): string {
  return target.startsWith('/') ? target : item.fail(`'${target}' is no path in a container: it begins with a slash`)
}

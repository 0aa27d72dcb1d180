import { ApiError } from '../../api/api-error.ts'
import type { LogConfig } from '../../api/container-json.ts'
import type { LogOptions } from '../../sandbox/sandbox-process.ts'

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1 << 10, m: 1 << 20, g: 1 << 30, t: 2 ** 40 }

/** Of Docker's json-file driver; all but the first two are accepted without effect. */
const KNOWN = ['max-size', 'max-file', 'compress', 'labels', 'labels-regex', 'env', 'env-regex', 'tag', 'mode', 'max-buffer-size']

/** Docker's driver `local` rotates by default; what `none` keeps is only for those that are attached. */
const DEFAULTS: Readonly<Record<string, { maxBytes: number; maxFiles: number }>> = {
  local: { maxBytes: 20 << 20, maxFiles: 5 },
  none: { maxBytes: 4 << 20, maxFiles: 2 }
}

/** The log-opts that shape our files. Throws ApiError 400 for those that no driver has or that cannot be read. */
export function logOptions({ Type, Config }: LogConfig): LogOptions {
  for (const name of Object.keys(Config)) {
    if (!KNOWN.includes(name)) throw ApiError.badRequest(`unknown log opt '${name}' for ${Type} log driver`)
  }
  const size = Config['max-size']
  const files = Config['max-file']
  if (files !== undefined && !/^[1-9]\d*$/.test(files)) throw ApiError.badRequest('max-file cannot be less than 1')
  const defaults = DEFAULTS[Type]
  const maxBytes = size === undefined ? defaults?.maxBytes : parseSize(size)
  if (maxBytes === undefined) return {}
  return { maxBytes, maxFiles: Number(files ?? defaults?.maxFiles ?? 1) }
}

/** Bytes of '10m', '1.5g', '4096' (docker/go-units, RAMInBytes). */
function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgt]?)(?:i?b)?$/i.exec(text)
  if (match === null) throw ApiError.badRequest(`invalid size: '${text}'`)
  return Math.floor(Number(match[1]) * UNITS[match[2]!.toLowerCase()]!)
}

/** What the command line of `netloom capture` asks for, checked. */
import type { CaptureRequest } from '../../api/capture-backend.ts'
import { type CliError, usageError } from '../cli-error.ts'
import { bytesOf } from '../docker/flag-value.ts'

export interface CaptureOptions {
  readonly write?: string
  readonly filter?: string
  readonly snaplen?: string
  readonly count?: string
  readonly duration?: string
  readonly rotateSize?: string
  readonly rotateFiles?: string
  readonly format?: 'pcapng' | 'pcap'
  readonly segment?: boolean
  readonly everyPort?: boolean
  /** false: --no-drops. */
  readonly drops?: boolean
  readonly comment?: string
  readonly json?: boolean
}

export interface CaptureSettings {
  readonly request: CaptureRequest
  /** null: a line a frame; '-': standard output. */
  readonly path: string | null
  /** Frames, then it ends; infinite. */
  readonly count: number
  /** Infinite where nothing was said. */
  readonly durationMs: number
  /** A file that would be longer is not begun; infinite. */
  readonly rotateBytes: number
  /** Files that are kept; infinite. */
  readonly rotateFiles: number
}

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/
const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const LONGEST_MS = 10_000 * 86_400_000
const MAX_SNAP_LENGTH = 262_144
const MIN_FILE = 1024

/** Throws CliError (usage). */
export function captureSettings(targets: readonly string[], options: CaptureOptions): CaptureSettings {
  const path = options.write ?? null
  if (path === '') throw usageError("-w '': the name of a file, or - for standard output")
  if (path === null && options.format !== undefined) throw usageError('--format is for a file: give -w FILE')
  if (options.rotateSize !== undefined && (path === null || path === '-')) throw usageError('--rotate-size is for a file: give -w FILE')
  if (options.rotateFiles !== undefined && options.rotateSize === undefined) {
    throw usageError('--rotate-files needs a size at which a new file begins', 'add --rotate-size 100MB')
  }
  const snapLength = options.snaplen === undefined ? 0 : whole('-s', options.snaplen, 0, MAX_SNAP_LENGTH, 'bytes, 0 for whole frames')
  return {
    path,
    request: {
      targets: targets.includes('all') ? [] : targets,
      filter: options.filter ?? '',
      format: options.format ?? 'pcapng',
      segment: options.segment ?? false,
      everyPort: options.everyPort ?? false,
      drops: options.drops ?? true,
      ...(snapLength > 0 && { snapLength }),
      ...(options.comment !== undefined && { comment: options.comment })
    },
    count: options.count === undefined ? Number.POSITIVE_INFINITY : whole('-c', options.count, 1, Number.MAX_SAFE_INTEGER, 'frames'),
    durationMs: options.duration === undefined ? Number.POSITIVE_INFINITY : durationMs(options.duration),
    rotateBytes: options.rotateSize === undefined ? Number.POSITIVE_INFINITY : fileSize(options.rotateSize),
    rotateFiles:
      options.rotateFiles === undefined ? Number.POSITIVE_INFINITY : whole('--rotate-files', options.rotateFiles, 1, 1e6, 'files')
  }
}

function whole(flag: string, text: string, least: number, most: number, what: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  throw bad(flag, text, `a whole number of ${what}, from ${least} to ${most}`)
}

function durationMs(text: string): number {
  const [, number = '', unit = 's'] = DURATION.exec(text) ?? []
  const ms = Number(number) * DURATION_UNITS[unit]!
  if (number !== '' && ms > 0 && ms <= LONGEST_MS) return ms
  throw bad('--duration', text, 'a time such as 10s, 500ms, 5m or 1h, 10,000 days at most')
}

function fileSize(text: string): number {
  const size = bytesOf(text)
  if (typeof size === 'number' && size >= MIN_FILE) return size
  throw bad('--rotate-size', text, `a size such as 500kB, 100MB or 1GB, at least ${MIN_FILE} bytes`)
}

function bad(flag: string, text: string, expected: string): CliError {
  return usageError(`${flag} '${text}' is not ${expected}`)
}

/**
 * One thing that the doctor looked at.
 *   ok    works
 *   warn  the main job works without it, but slower or with less
 *   fail  TAP devices or sandboxes do not work here
 */
export type CheckStatus = 'ok' | 'warn' | 'fail'

export interface Check {
  /** Stable, for scripts: 'tun'. */
  readonly id: string
  readonly status: CheckStatus
  /** What was found, with its value. */
  readonly detail: string
  /** What to do, one step a line; with every warn and fail. */
  readonly fix?: string
}

export function ok(id: string, detail: string): Check {
  return { id, status: 'ok', detail }
}

export function warn(id: string, detail: string, fix: string): Check {
  return { id, status: 'warn', detail, fix }
}

export function fail(id: string, detail: string, fix: string): Check {
  return { id, status: 'fail', detail, fix }
}

/** What POST /netloom/replay answers: one of these on each line, `summary` or `error` on the last one. */
import type { ReplayStatus } from '../replay/frame-player.ts'

export type { ReplayStatus } from '../replay/frame-player.ts'

export type ReplayMessage =
  | { readonly status: ReplayStatus }
  | { readonly summary: ReplayStatus }
  /** `summary`: what had been played by then. */
  | { readonly error: string; readonly code?: string; readonly summary: ReplayStatus }

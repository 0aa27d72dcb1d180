import type { LinkRequest, LinkRow } from './link-json.ts'

/** What the routes of emulated links need behind them. Methods throw NetworkError. */
export interface LinkBackend {
  links(): LinkRow[]
  /** What the target's links are then. */
  setLink(request: LinkRequest): Promise<LinkRow[]>
}

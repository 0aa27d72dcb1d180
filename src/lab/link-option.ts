/** Links of a lab in words: `'delay 50ms loss 1%'`. */
import type { LinkSettings } from '../elements/netem/link-settings.ts'
import type { LinkChange } from '../network/link-shape.ts'
import { type LinkText, readLinkText } from '../network/link-text.ts'

/** One direction: words of tc netem, the same with texts of files (a trace, a distribution), or settings; null: not shaped. */
export type DirectionOption = string | LinkText | LinkSettings | null

/** Words for both directions, or a direction each: what the endpoint sends (`out`) and gets (`in`). null: not shaped. */
export type LinkOption = string | null | { readonly out?: DirectionOption; readonly in?: DirectionOption }

/** Throws NetworkError `invalid` for words that are none. */
export function linkChange(link: LinkOption): LinkChange {
  if (link === null || typeof link === 'string') {
    const both = settingsOf(link)
    return { out: both, in: both }
  }
  return { ...(link.out !== undefined && { out: settingsOf(link.out) }), ...(link.in !== undefined && { in: settingsOf(link.in) }) }
}

function settingsOf(direction: DirectionOption): LinkSettings | null {
  if (typeof direction === 'string') return readLinkText({ words: direction })
  return direction !== null && isText(direction) ? readLinkText(direction) : direction
}

function isText(direction: LinkText | LinkSettings): direction is LinkText {
  return 'words' in direction || 'trace' in direction || 'distribution' in direction
}

/**
 * Emulated links by options of networks (`docker network create -o`) and endpoints (`docker network connect --driver-opt`): an
 * extension of netloom's. An endpoint's own options go before those of its network.
 */
import { ApiError } from '../../api/api-error.ts'
import type { LinkSettings } from '../../elements/netem/link-settings.ts'
import { parseLinkWords } from '../../elements/netem/link-words.ts'
import type { LinkShape } from '../../network/link-shape.ts'

/** Words of tc netem for both directions, for what a container sends, for what it gets. */
export const LinkOption = { both: 'netloom.link', out: 'netloom.link.out', in: 'netloom.link.in' } as const

/** undefined where none of the options is given. Throws ApiError 400 for words that are none. */
export function linkShapeOf(options: Readonly<Record<string, string>> | null): LinkShape | undefined {
  const read = (name: 'out' | 'in'): LinkSettings | undefined => {
    const key = options?.[LinkOption[name]] === undefined ? LinkOption.both : LinkOption[name]
    const text = options?.[key]
    if (text === undefined) return undefined
    try {
      return parseLinkWords(text.split(/\s+/).filter((word) => word !== ''))
    } catch (error) {
      throw ApiError.badRequest(`option ${key}: ${(error as Error).message}`, { cause: error })
    }
  }
  const [out, inward] = [read('out'), read('in')]
  if (out === undefined && inward === undefined) return undefined
  return { ...(out !== undefined && { out }), ...(inward !== undefined && { in: inward }) }
}

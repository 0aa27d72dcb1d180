/**
 * Emulated links by options of networks (`docker network create -o`) and endpoints (`docker network connect --driver-opt`), and by labels
 * of containers and networks: an extension of netloom's. `KEY` is
 *
 *   netloom.link                 netloom.link.out             netloom.link.in                 words of tc netem
 *   netloom.link.trace           netloom.link.trace.out       netloom.link.trace.in           text of a trace file
 *   netloom.link.distribution    netloom.link.distribution.out ...                            text of a table of deviations
 *
 * and in labels of containers also `netloom.link.NETWORK`, `netloom.link.NETWORK.out`..., for one of their networks. An endpoint's own
 * options go before its container's labels for the network, those before its labels for all, and those before what the network says.
 */
import { ApiError } from '../../api/api-error.ts'
import type { LinkSettings } from '../../elements/netem/link-settings.ts'
import type { LinkShape } from '../../network/link-shape.ts'
import { type LinkText, readLinkText } from '../../network/link-text.ts'
import { NetworkError } from '../../network/network-error.ts'

type Texts = Readonly<Record<string, string>> | null | undefined

const PREFIX = 'netloom.link'

/** undefined where none of the options is given. Throws ApiError 400 for words that are none. */
export function linkShapeOf(options: Texts): LinkShape | undefined {
  return shapeUnder(PREFIX, options, 'option')
}

/** What a network is given: its options, else its labels. Throws ApiError 400. */
export function networkLink({ options, labels }: { readonly options: Texts; readonly labels: Texts }): LinkShape | undefined {
  return linkShapeOf(options) ?? shapeUnder(PREFIX, labels, 'label')
}

/** What an endpoint is given: its options, else the labels of its container. Throws ApiError 400. */
export function endpointLink(options: Texts, labels: Texts, network: string): LinkShape | undefined {
  return linkShapeOf(options) ?? shapeUnder(`${PREFIX}.${network}`, labels, 'label') ?? shapeUnder(PREFIX, labels, 'label')
}

/** What of a container's labels is about links and cannot be. Throws ApiError 400. */
export function checkLinkLabels(labels: Texts): void {
  const keys = Object.keys(labels ?? {}).filter((key) => key === PREFIX || key.startsWith(`${PREFIX}.`))
  for (const key of keys) shapeUnder(key.replace(/(\.(trace|distribution))?(\.(out|in))?$/, ''), labels, 'label')
}

function shapeUnder(prefix: string, texts: Texts, what: 'option' | 'label'): LinkShape | undefined {
  const read = (direction: 'out' | 'in'): LinkSettings | undefined => {
    const keyOf = (name: string): string => (texts?.[`${name}.${direction}`] === undefined ? name : `${name}.${direction}`)
    const [words, trace, distribution] = [prefix, `${prefix}.trace`, `${prefix}.distribution`].map((name) => texts?.[keyOf(name)])
    if (words === undefined && trace === undefined) return undefined
    try {
      // Nothing at all is said of a link that shall be as it is, whatever the network says.
      return readLinkText({ words, trace, distribution }) ?? {}
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error
      throw ApiError.badRequest(`${what} ${keyOf(prefix)}: ${error.message}`, { cause: error })
    }
  }
  const [out, inward] = [read('out'), read('in')]
  if (out === undefined && inward === undefined) return undefined
  return { ...(out !== undefined && { out }), ...(inward !== undefined && { in: inward }) }
}

/** The options that say the same, for both directions or for one. */
export function linkOptions(out: LinkText | undefined, inward: LinkText | undefined): Record<string, string> {
  const options: Record<string, string> = {}
  for (const [suffix, text] of out === inward
    ? [['', out] as const]
    : ([
        ['.out', out],
        ['.in', inward]
      ] as const)) {
    const { words, trace, distribution } = text ?? {}
    if (words !== undefined) options[`${PREFIX}${suffix}`] = typeof words === 'string' ? words : words.join(' ')
    if (trace !== undefined) options[`${PREFIX}.trace${suffix}`] = trace
    if (distribution !== undefined) options[`${PREFIX}.distribution${suffix}`] = distribution
  }
  return options
}

/** Settings of a link from what people write: tc netem's words, and files of what words cannot say. */
import { CaptureFilterError } from '../capture/filter/capture-filter-error.ts'
import { compileFilter } from '../capture/filter/compile-filter.ts'
import { parseDistribution } from '../elements/netem/distribution-file.ts'
import { checkLinkSettings, type LinkSettings, LinkSettingsError } from '../elements/netem/link-settings.ts'
import { parseLinkTrace } from '../elements/netem/link-trace.ts'
import { LinkWordsError } from '../elements/netem/link-units.ts'
import { parseLinkWords } from '../elements/netem/link-words.ts'
import { NetworkError } from './network-error.ts'
import { splitWords } from './split-words.ts'

export interface LinkText {
  /** `['delay', '50ms', 'loss', '1%']`, or the same as one text, split as a shell does it. */
  readonly words?: readonly string[] | string | undefined
  /** Text of a trace file: how rate, delay and loss change. */
  readonly trace?: string | undefined
  /** Text of a table of deviations, for the jitter of the words. */
  readonly distribution?: string | undefined
}

/** null when nothing at all is said: not shaped. Throws NetworkError `invalid`. */
export function readLinkText({ words = [], trace, distribution }: LinkText): LinkSettings | null {
  try {
    const list = typeof words === 'string' ? splitWords(words) : words
    if (list.length === 0 && trace === undefined && distribution === undefined) return null
    const settings: LinkSettings = {
      ...parseLinkWords(list, compileFilter),
      ...(trace !== undefined && { schedule: parseLinkTrace(trace) })
    }
    return checkLinkSettings(distribution === undefined ? settings : withTable(settings, distribution))
  } catch (error) {
    const ours = [LinkWordsError, LinkSettingsError, CaptureFilterError, RangeError]
    if (error instanceof Error && ours.some((type) => error instanceof type))
      throw new NetworkError('invalid', error.message, { cause: error })
    throw error
  }
}

function withTable(settings: LinkSettings, distribution: string): LinkSettings {
  const { delay } = settings
  if (delay?.jitterNs === undefined)
    throw new LinkWordsError('a distribution says how the delay varies: it needs a delay and a jitter, as in delay 50ms 10ms')
  if (delay.distribution !== undefined) throw new LinkWordsError(`the words name the distribution '${delay.distribution}' already`)
  return { ...settings, delay: { ...delay, distribution: { table: parseDistribution(distribution) } } }
}

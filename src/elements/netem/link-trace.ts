/**
 * Trace files: how a link changes with time, as mobile networks do. A line is a time and what holds from then on, `-` where nothing
 * changes; `#` begins a comment:
 *
 *   # time   rate      delay   loss
 *   0s       10mbit    40ms    0%
 *   1.5s     2mbit     90ms    -
 *   4s       -         40ms    3%
 *   end 10s                              it begins again after ten seconds
 */
import type { LinkSettings, SchedulePoint } from './link-settings.ts'
import { LinkWordsError, parseLinkWords } from './link-words.ts'

/** Throws LinkWordsError with the number of the line. */
export function parseLinkTrace(text: string): NonNullable<LinkSettings['schedule']> {
  const points: SchedulePoint[] = []
  let repeatNs: number | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.replace(/#.*/, '').trim().split(/\s+/)
    if (words[0] === '') continue
    try {
      if (repeatNs !== undefined) throw new LinkWordsError("nothing comes after 'end'")
      if (words[0] === 'end') repeatNs = timeOf(words[1] ?? '')
      else points.push(pointOf(words))
    } catch (error) {
      throw new LinkWordsError(`line ${index + 1} of the trace: ${(error as Error).message}`, { cause: error })
    }
  }
  if (points.length === 0) throw new LinkWordsError('the trace has no line with a time')
  return { points, ...(repeatNs !== undefined && { repeatNs }) }
}

function pointOf([time = '', rate = '-', delay = '-', loss = '-', ...more]: readonly string[]): SchedulePoint {
  if (more.length > 0) throw new LinkWordsError(`'${more[0]}' is one word too many: time, rate, delay, loss`)
  const given = (word: string, value: string): string[] => (value === '-' ? [] : [word, value])
  const settings = parseLinkWords([...given('rate', rate), ...given('delay', delay), ...given('loss', loss)])
  return {
    atNs: timeOf(time),
    ...(settings.rate !== undefined && { bitsPerSecond: settings.rate.bitsPerSecond }),
    ...(settings.delay !== undefined && { delayNs: settings.delay.meanNs }),
    ...(settings.loss?.model === 'random' && { lossProbability: settings.loss.probability })
  }
}

function timeOf(word: string): number {
  return parseLinkWords(['delay', word]).delay!.meanNs
}

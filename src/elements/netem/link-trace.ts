/**
 * Trace files: how a link changes with time, as mobile networks do. A line is a time and what holds from then on, in columns (`-` where
 * nothing changes) or in words; `#` begins a comment:
 *
 *   # time   rate      delay   loss
 *   0s       10mbit    40ms    0%
 *   1.5s     2mbit     90ms    -
 *   4s       delay 40ms loss 3%
 *   6s       down
 *   6.2s     up
 *   8s       0                               an outage, until the next rate
 *   end 10s                              it begins again after ten seconds
 */
import type { LinkSettings, SchedulePoint } from './link-settings.ts'
import { LinkWordsError, readTime } from './link-units.ts'
import { parseLinkWords } from './link-words.ts'

/** Words of a line; others are a column's value. */
const WORDS = ['rate', 'delay', 'loss', 'down', 'up']
/** 0 with or without decimals; the unit. */
const NOTHING = /^0+(?:\.0*)?([a-z]*)$/i

/** Throws LinkWordsError with the number of the line. */
export function parseLinkTrace(text: string): NonNullable<LinkSettings['schedule']> {
  const points: SchedulePoint[] = []
  let repeatNs: number | undefined
  let isOut = false
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.replace(/#.*/, '').trim().split(/\s+/)
    if (words[0] === '') continue
    try {
      if (repeatNs !== undefined) throw new LinkWordsError("nothing comes after 'end'")
      if (words[0] === 'end') {
        repeatNs = timeOf(words[1] ?? '')
        if (repeatNs <= (points.at(-1)?.atNs ?? 0)) throw new LinkWordsError(`the end, ${words[1]}, is not later than the last line`)
        if (words.length > 2) throw new LinkWordsError(`'${words[2]}' is one word too many: end TIME`)
      } else {
        const point = WORDS.includes(words[1] ?? '') ? pointOf(words) : pointOfColumns(words)
        if (point.atNs <= (points.at(-1)?.atNs ?? -1)) throw new LinkWordsError(`${words[0]} is not later than the line before`)
        points.push(isOut ? withoutOutage(point) : point)
        if (point.bitsPerSecond !== undefined || point.down !== undefined) isOut = point.bitsPerSecond === 0
      }
    } catch (error) {
      throw new LinkWordsError(`line ${index + 1} of the trace: ${(error as Error).message}`, { cause: error })
    }
  }
  if (points.length === 0) throw new LinkWordsError('the trace has no line with a time')
  if (isOut && repeatNs !== undefined) {
    const first = points.findIndex(({ bitsPerSecond, down }) => bitsPerSecond !== undefined || down !== undefined)
    points[first] = withoutOutage(points[first])
  }
  return { points: points.map(outageAsDown), ...(repeatNs !== undefined && { repeatNs }) }
}

/** The first point after an outage: its rate ends it. */
function withoutOutage(point: SchedulePoint): SchedulePoint {
  return (point.bitsPerSecond ?? 0) > 0 && point.down === undefined ? { ...point, down: false } : point
}

/** Nothing is sent at a rate of 0: the link is down. */
function outageAsDown({ bitsPerSecond, ...point }: SchedulePoint): SchedulePoint {
  if (bitsPerSecond === undefined) return point
  return bitsPerSecond === 0 ? { ...point, down: true } : { ...point, bitsPerSecond }
}

function pointOfColumns([time = '', rate = '-', delay = '-', loss = '-', ...more]: readonly string[]): SchedulePoint {
  if (more.length > 0) throw new LinkWordsError(`'${more[0]}' is one word too many: time, rate, delay, loss`)
  const given = (word: string, value: string): string[] => (value === '-' ? [] : [word, value])
  return pointOf([time, ...given('rate', rate), ...given('delay', delay), ...given('loss', loss)])
}

function pointOf([time = '', ...words]: readonly string[]): SchedulePoint {
  const isUp = words.includes('up')
  const rateAt = words.indexOf('rate') + 1
  const isOut = rateAt > 0 && NOTHING.test(words[rateAt] ?? '')
  // A link cannot be set to it, but its unit is to be one.
  if (isOut) words[rateAt] = words[rateAt].replace(NOTHING, '1$1')
  const { rate, delay, loss, down, ...more } = parseLinkWords(words.filter((word) => word !== 'up'))
  if (isUp && down === true) throw new LinkWordsError('down and up at once')
  const rest = [...Object.keys(more), ...Object.keys(rate ?? {}).slice(1), ...Object.keys(delay ?? {}).slice(1)]
  if (rest.length > 0) throw new LinkWordsError(`'${rest[0]}' does not change with time: rate, delay, loss, down and up do`)
  if (loss !== undefined && (loss.model !== 'random' || loss.correlation !== undefined || loss.match !== undefined))
    throw new LinkWordsError('only the share of a random loss changes with time')
  return {
    atNs: timeOf(time),
    ...(rate !== undefined && { bitsPerSecond: isOut ? 0 : rate.bitsPerSecond }),
    ...(delay !== undefined && { delayNs: delay.meanNs }),
    ...(loss !== undefined && { lossProbability: loss.probability }),
    ...((down === true || isUp) && { down: !isUp })
  }
}

/** tc's rule, microseconds where no unit stands, would make a trace in seconds one that is over at once. */
function timeOf(word: string): number {
  if (/^[\d.]+$/.test(word) && Number(word) !== 0) throw new LinkWordsError(`time: '${word}' has no unit: ${word}s?`)
  return readTime('time', word)
}

/**
 * Settings of a link in the words of tc netem, and back:
 *
 *   delay TIME [JITTER [CORRELATION]] [distribution uniform|normal|pareto]
 *   loss PERCENT [CORRELATION] | loss random PERCENT [CORRELATION] | loss gemodel P [R [1-H [1-K]]] | loss state P13 [P31 [P32 [P23 [P14]]]] | loss nth N
 *   duplicate PERCENT [CORRELATION]   corrupt PERCENT [CORRELATION]   reorder PERCENT [CORRELATION] [gap N]
 *   rate RATE [OVERHEAD [CELL [CELL-OVERHEAD]]] [burst SIZE]   limit PACKETS   limit-bytes SIZE
 *   codel | fq_codel [target TIME] [interval TIME] [flows N] [quantum SIZE] [ecn]
 *   mtu BYTES   down   flap UP DOWN
 *   match [protocol NAME] [port N] [sport N] [dport N] [src NET] [dst NET]   filter 'EXPRESSION'     which frames `loss` is for
 *
 * Units as in tc: see link-units. Each is said once, `match` as often as one likes.
 */
import type { FilterProgram, FrameMatch } from './frame-match.ts'
import {
  type ChanceSettings,
  checkLinkSettings,
  type DelaySettings,
  type LinkSettings,
  type LossSettings,
  type QueueSettings
} from './link-settings.ts'
import { LinkWordsError, readCount, readRate, readShare, readSize, readTime } from './link-units.ts'

const DISTRIBUTIONS = ['uniform', 'normal', 'pareto']
/** Words that set the same. */
const SAME: Readonly<Record<string, string>> = { latency: 'delay', drop: 'loss', fq_codel: 'codel' }

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/**
 * Throws LinkWordsError, or LinkSettingsError for values that cannot be.
 * @param translate the program of a `filter`; throws what is wrong with its text
 */
export function parseLinkWords(words: readonly string[], translate: (text: string) => FilterProgram = noFilters): LinkSettings {
  return checkLinkSettings(new LinkWords(words, translate).read())
}

function noFilters(text: string): never {
  throw new LinkWordsError(`filter '${text}': there are no filters here`)
}

class LinkWords {
  private readonly words: readonly string[]
  private readonly translate: (text: string) => FilterProgram
  private at = 0

  constructor(words: readonly string[], translate: (text: string) => FilterProgram) {
    this.words = words
    this.translate = translate
  }

  read(): LinkSettings {
    const settings: Mutable<LinkSettings> = {}
    let match: FrameMatch | undefined
    let queue: QueueSettings = {}
    const said = new Set<string>()
    while (this.at < this.words.length) {
      const word = this.words[this.at++]!
      const subject = SAME[word] ?? word
      // What was said first would be lost without notice.
      if (said.has(subject) && word !== 'match') throw new LinkWordsError(`'${word}' comes when '${subject}' was said already`)
      said.add(subject)
      if (word === 'delay' || word === 'latency') settings.delay = this.delay()
      else if (word === 'loss' || word === 'drop') settings.loss = this.loss()
      else if (word === 'duplicate') settings.duplicate = this.chance()
      else if (word === 'corrupt') settings.corrupt = this.chance()
      else if (word === 'reorder') settings.reorder = { ...this.chance(), ...(this.takes('gap') && { gap: this.count('gap') }) }
      else if (word === 'rate') settings.rate = this.rate()
      else if (word === 'limit') queue = { ...queue, packets: this.count('limit') }
      else if (word === 'limit-bytes') queue = { ...queue, bytes: this.size('limit-bytes') }
      else if (word === 'codel' || word === 'fq_codel')
        queue = { ...queue, discipline: word === 'codel' ? 'codel' : 'fq-codel', ...this.codel() }
      else if (word === 'mtu') settings.mtu = this.count('mtu')
      else if (word === 'down') settings.down = true
      else if (word === 'flap') settings.flap = { upNs: this.time('flap'), downNs: this.time('flap') }
      else if (word === 'match') match = { ...match, ...this.match() }
      else if (word === 'filter') match = { ...match, filter: this.filter() }
      else
        throw new LinkWordsError(
          `'${word}' is no word of a link: delay, loss, duplicate, corrupt, reorder, rate, limit, limit-bytes, codel, fq_codel, mtu, down, flap, match, filter`
        )
    }
    if (Object.keys(queue).length > 0) settings.queue = queue
    if (match !== undefined) {
      const word = match.filter === undefined ? 'match' : 'filter'
      if (settings.loss === undefined) throw new LinkWordsError(`'${word}' says which frames are lost: there is no 'loss'`)
      settings.loss = { ...settings.loss, match }
    }
    return settings
  }

  private delay(): DelaySettings {
    const meanNs = this.time('delay')
    const jitterNs = this.isNumber() ? this.time('jitter') : undefined
    const correlation = jitterNs !== undefined && this.isNumber() ? this.share('correlation') : undefined
    const distribution = this.takes('distribution') ? this.take('distribution') : undefined
    if (distribution !== undefined && !DISTRIBUTIONS.includes(distribution))
      throw new LinkWordsError(
        `distribution '${distribution}' is none of ${DISTRIBUTIONS.join(', ')}; a table is given as a file of its own`
      )
    if (distribution !== undefined && jitterNs === undefined)
      throw new LinkWordsError(
        `distribution '${distribution}' is one of jitters, and there is none: delay 50ms 5ms distribution ${distribution}`
      )
    return {
      meanNs,
      ...(jitterNs !== undefined && { jitterNs }),
      ...(correlation !== undefined && { correlation }),
      ...(distribution !== undefined && { distribution: distribution as 'uniform' })
    }
  }

  private loss(): LossSettings {
    if (this.takes('nth')) return { model: 'nth', n: this.count('loss nth') }
    if (this.takes('gemodel')) {
      const toBad = this.share('loss gemodel')
      const [toGood = 1 - toBad, lossInBad = 1, lossInGood = 0] = this.shares(3)
      return { model: 'gilbert-elliott', toBad, toGood, lossInBad, lossInGood }
    }
    if (this.takes('state')) {
      const p13 = this.share('loss state')
      const [p31 = 1 - p13, p32 = 0, p23 = 1, p14 = 0] = this.shares(4)
      return { model: 'states', p13, p31, p32, p23, p14 }
    }
    this.takes('random')
    return { model: 'random', ...this.chance() }
  }

  private chance(): ChanceSettings {
    const probability = this.share('probability')
    return { probability, ...(this.isNumber() && { correlation: this.share('correlation') }) }
  }

  private rate(): NonNullable<LinkSettings['rate']> {
    const bitsPerSecond = readRate('rate', this.take('rate'))
    const [overheadBytes, cellBytes, cellOverheadBytes] = [0, 1, 2].map(() => (this.isNumber() ? this.size('overhead') : undefined))
    return {
      bitsPerSecond,
      ...(overheadBytes !== undefined && { overheadBytes }),
      ...(cellBytes !== undefined && { cellBytes }),
      ...(cellOverheadBytes !== undefined && { cellOverheadBytes }),
      ...(this.takes('burst') && { burstBytes: this.size('burst') })
    }
  }

  private codel(): QueueSettings {
    const settings: Mutable<QueueSettings> = {}
    for (;;) {
      if (this.takes('target')) settings.targetNs = this.time('target')
      else if (this.takes('interval')) settings.intervalNs = this.time('interval')
      else if (this.takes('flows')) settings.flows = this.count('flows')
      else if (this.takes('quantum')) settings.quantumBytes = this.size('quantum')
      else if (this.takes('ecn')) settings.ecn = true
      else return settings
    }
  }

  private match(): FrameMatch {
    const match: Mutable<FrameMatch> = {}
    for (;;) {
      if (this.takes('protocol')) match.protocol = this.isNumber() ? this.count('protocol') : this.take('protocol')
      else if (this.takes('port')) match.port = this.count('port')
      else if (this.takes('sport')) match.sourcePort = this.count('sport')
      else if (this.takes('dport')) match.destinationPort = this.count('dport')
      else if (this.takes('src')) match.source = this.take('src')
      else if (this.takes('dst')) match.destination = this.take('dst')
      else if (Object.keys(match).length > 0) return match
      else throw new LinkWordsError("after 'match' something is missing: protocol, port, sport, dport, src or dst")
    }
  }

  private filter(): NonNullable<FrameMatch['filter']> {
    const text = this.take('filter')
    return { text, program: this.translate(text) }
  }

  private take(what: string): string {
    const word = this.words[this.at++]
    if (word === undefined) throw new LinkWordsError(`after '${what}' something is missing`)
    return word
  }

  private takes(word: string): boolean {
    if (this.words[this.at] !== word) return false
    this.at++
    return true
  }

  private isNumber(): boolean {
    return /^[-+]?[\d.]/.test(this.words[this.at] ?? '')
  }

  private time(what: string): number {
    return readTime(what, this.take(what))
  }

  private size(what: string): number {
    return readSize(what, this.take(what))
  }

  private count(what: string): number {
    return readCount(what, this.take(what))
  }

  private share(what: string): number {
    return readShare(what, this.take(what))
  }

  private shares(count: number): number[] {
    const result: number[] = []
    while (result.length < count && this.isNumber()) result.push(this.share('percent'))
    return result
  }
}

/** The same settings as words; what words cannot say (tables, schedules) as a note in brackets. A filter stands in quotes. */
export function linkWords(settings: LinkSettings): string {
  const { delay, loss, duplicate, corrupt, reorder, rate, queue, mtu, down, flap, schedule } = settings
  const words: string[] = []
  if (down === true) words.push('down')
  if (delay !== undefined) {
    const { meanNs, jitterNs, correlation, distribution } = delay
    words.push(
      'delay',
      time(meanNs),
      ...(jitterNs === undefined ? [] : [time(jitterNs)]),
      ...(correlation === undefined ? [] : [share(correlation)])
    )
    if (typeof distribution === 'string') words.push('distribution', distribution)
    else if (distribution !== undefined) words.push(`[table of ${distribution.table.length}]`)
  }
  if (loss !== undefined) words.push('loss', ...lossWords(loss))
  if (duplicate !== undefined) words.push('duplicate', ...chanceWords(duplicate))
  if (corrupt !== undefined) words.push('corrupt', ...chanceWords(corrupt))
  if (reorder !== undefined)
    words.push('reorder', ...chanceWords(reorder), ...(reorder.gap === undefined ? [] : ['gap', String(reorder.gap)]))
  if (rate !== undefined) {
    words.push('rate', scaled(rate.bitsPerSecond, ['bit', 'kbit', 'mbit', 'gbit', 'tbit']))
    const extra = [rate.overheadBytes, rate.cellBytes, rate.cellOverheadBytes]
    while (extra.length > 0 && extra.at(-1) === undefined) extra.pop()
    words.push(...extra.map((value) => String(value ?? 0)))
    if (rate.burstBytes !== undefined) words.push('burst', `${rate.burstBytes}b`)
  }
  if (queue !== undefined) words.push(...queueWords(queue))
  if (mtu !== undefined) words.push('mtu', String(mtu))
  if (flap !== undefined) words.push('flap', time(flap.upNs), time(flap.downNs))
  if (schedule !== undefined) words.push(`[schedule of ${schedule.points.length} points]`)
  if (loss?.match !== undefined) words.push(...matchWords(loss.match))
  return words.join(' ')
}

function lossWords(loss: LossSettings): string[] {
  switch (loss.model) {
    case 'random':
      return chanceWords(loss)
    case 'nth':
      return ['nth', String(loss.n)]
    case 'gilbert-elliott':
      return ['gemodel', ...[loss.toBad, loss.toGood, loss.lossInBad, loss.lossInGood].map(share)]
    case 'states':
      return ['state', ...[loss.p13, loss.p31, loss.p32, loss.p23, loss.p14].map(share)]
  }
}

function queueWords({ packets, bytes, discipline, targetNs, intervalNs, flows, quantumBytes, ecn }: QueueSettings): string[] {
  const words: string[] = []
  if (packets !== undefined) words.push('limit', String(packets))
  if (bytes !== undefined) words.push('limit-bytes', `${bytes}b`)
  if (discipline === undefined || discipline === 'drop-tail') return words
  words.push(discipline === 'codel' ? 'codel' : 'fq_codel')
  if (targetNs !== undefined) words.push('target', time(targetNs))
  if (intervalNs !== undefined) words.push('interval', time(intervalNs))
  if (flows !== undefined) words.push('flows', String(flows))
  if (quantumBytes !== undefined) words.push('quantum', `${quantumBytes}b`)
  if (ecn === true) words.push('ecn')
  return words
}

function matchWords({ protocol, port, sourcePort, destinationPort, source, destination, filter }: FrameMatch): string[] {
  const named: readonly (readonly [word: string, value: string | number | undefined])[] = [
    ['protocol', protocol],
    ['port', port],
    ['sport', sourcePort],
    ['dport', destinationPort],
    ['src', source],
    ['dst', destination]
  ]
  const words = named.flatMap(([word, value]) => (value === undefined ? [] : [word, String(value)]))
  return [...(words.length === 0 ? [] : ['match', ...words]), ...(filter === undefined ? [] : ['filter', `'${filter.text}'`])]
}

function chanceWords({ probability, correlation }: ChanceSettings): string[] {
  return [share(probability), ...(correlation === undefined ? [] : [share(correlation)])]
}

function share(value: number): string {
  return `${Number((value * 100).toPrecision(12))}%`
}

function time(ns: number): string {
  return scaled(ns, ['ns', 'us', 'ms', 's'])
}

/** In the largest unit, each a thousand of the one before, in which it is at least 1. */
function scaled(value: number, units: readonly string[]): string {
  let unit = 0
  let left = value
  for (; left >= 1000 && unit < units.length - 1; unit++) left /= 1000
  return `${left}${units[unit]}`
}

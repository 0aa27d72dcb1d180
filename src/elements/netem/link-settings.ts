/** What one direction of an emulated link can be set to. Plain data; times in nanoseconds, probabilities 0 to 1. */
import { HOLD_MAX } from '../../engine/frame-wheel.ts'
import { type FrameMatch, FrameMatcher } from './frame-match.ts'

export interface ChanceSettings {
  readonly probability: number
  /** Between this decision and the one before; -1 to 1. */
  readonly correlation?: number
}

export interface DelaySettings {
  readonly meanNs: number
  readonly jitterNs?: number
  readonly correlation?: number
  /** Default 'uniform'. A table holds deviations in units of jitter, each as likely as the others. */
  readonly distribution?: 'uniform' | 'normal' | 'pareto' | { readonly table: readonly number[] }
}

/** `match`: only these frames are lost, and counted by the model. */
export type LossSettings = { readonly match?: FrameMatch } & (
  | ({ readonly model: 'random' } & ChanceSettings)
  | {
      readonly model: 'gilbert-elliott'
      readonly toBad: number
      readonly toGood: number
      readonly lossInBad: number
      readonly lossInGood: number
    }
  | {
      readonly model: 'states'
      readonly p13: number
      readonly p31: number
      readonly p32: number
      readonly p23: number
      readonly p14: number
    }
  | { readonly model: 'nth'; readonly n: number }
)

export interface ReorderSettings extends ChanceSettings {
  /** Only every gap-th frame may overtake; default 1. */
  readonly gap?: number
}

export interface RateSettings {
  readonly bitsPerSecond: number
  /** May leave at once after a pause. Default 0: each frame takes its time. */
  readonly burstBytes?: number
  /** Added to each packet; may be negative. */
  readonly overheadBytes?: number
  /** Packets are sent in cells of this size, as ATM does. */
  readonly cellBytes?: number
  /** Added to each cell. */
  readonly cellOverheadBytes?: number
}

export interface QueueSettings {
  readonly packets?: number
  readonly bytes?: number
  /** Default 'drop-tail'. */
  readonly discipline?: 'drop-tail' | 'codel' | 'fq-codel'
  /** CoDel: how long packets may wait; default 5 ms. */
  readonly targetNs?: number
  /** CoDel: for how long they may wait longer; default 100 ms. */
  readonly intervalNs?: number
  /** FQ-CoDel: queues to which flows are hashed; default 1024. */
  readonly flows?: number
  /** FQ-CoDel: bytes that a flow sends in its turn; default 1514. */
  readonly quantumBytes?: number
  /** Marks ECN-capable packets where CoDel would drop them. */
  readonly ecn?: boolean
}

export interface SchedulePoint {
  /** Since the settings were made. */
  readonly atNs: number
  readonly bitsPerSecond?: number
  readonly delayNs?: number
  readonly lossProbability?: number
  /** Nothing passes from then on, or again. */
  readonly down?: boolean
}

export interface LinkSettings {
  readonly delay?: DelaySettings
  readonly loss?: LossSettings
  readonly duplicate?: ChanceSettings
  readonly corrupt?: ChanceSettings
  readonly reorder?: ReorderSettings
  readonly rate?: RateSettings
  readonly queue?: QueueSettings
  readonly down?: boolean
  readonly flap?: { readonly upNs: number; readonly downNs: number }
  readonly mtu?: number
  readonly schedule?: { readonly points: readonly SchedulePoint[]; readonly repeatNs?: number }
}

/** Settings that cannot be: names the field, its value, and what is wrong. */
export class LinkSettingsError extends Error {
  readonly code = 'ERR_LINK_SETTINGS'

  constructor(field: string, value: unknown, problem: string) {
    super(`${field} ${typeof value === 'number' ? value : (JSON.stringify(value) ?? value)} ${problem}`)
    this.name = 'LinkSettingsError'
  }
}

const KNOWN = new Set(['delay', 'loss', 'duplicate', 'corrupt', 'reorder', 'rate', 'queue', 'down', 'flap', 'mtu', 'schedule'])
/** Of netem's words `limit 1000`. */
export const DEFAULT_QUEUE_PACKETS = 1000
/** A queue is memory: the pool has no more frames than this. */
const PACKETS_MAX = 16_777_216
const RATE_MAX = 1e15

/** The settings themselves, when they are sound. Throws LinkSettingsError. */
export function checkLinkSettings(settings: LinkSettings): LinkSettings {
  if (typeof settings !== 'object' || settings === null) throw new LinkSettingsError('settings', settings, 'must be an object')
  const unknown = Object.keys(settings).find((key) => !KNOWN.has(key))
  if (unknown !== undefined) throw new LinkSettingsError('settings', unknown, `is no setting of a link: ${[...KNOWN].join(', ')}`)
  const { delay, loss, duplicate, corrupt, reorder, rate, queue, flap, mtu, schedule } = settings
  if (delay !== undefined) checkDelay(delay)
  if (loss !== undefined) checkLoss(loss)
  if (duplicate !== undefined) checkChance('duplicate', duplicate)
  if (corrupt !== undefined) checkChance('corrupt', corrupt)
  if (reorder !== undefined) checkReorder(reorder, delay)
  if (rate !== undefined) checkRate(rate)
  if (queue !== undefined) checkQueue(queue)
  if (flap !== undefined) {
    within('flap.upNs', flap.upNs, 1, HOLD_MAX)
    within('flap.downNs', flap.downNs, 1, HOLD_MAX)
  }
  if (mtu !== undefined) whole('mtu', mtu, 68, 65_535)
  if (schedule !== undefined) checkSchedule(schedule, loss)
  return settings
}

function checkDelay({ meanNs, jitterNs = 0, correlation = 0, distribution = 'uniform' }: DelaySettings): void {
  within('delay.meanNs', meanNs, 0, HOLD_MAX / 4)
  within('delay.jitterNs', jitterNs, 0, HOLD_MAX / 16)
  within('delay.correlation', correlation, 0, 1)
  if (typeof distribution === 'string') {
    if (!['uniform', 'normal', 'pareto'].includes(distribution)) {
      throw new LinkSettingsError('delay.distribution', distribution, 'must be uniform, normal, pareto or a table')
    }
    return
  }
  const { table } = distribution
  if (!Array.isArray(table) || table.length === 0 || table.length > 65_536) {
    throw new LinkSettingsError('delay.distribution.table', table?.length, 'must have 1 to 65536 numbers')
  }
  for (const value of table) within('delay.distribution.table', value, -32, 32)
}

function checkLoss(loss: LossSettings): void {
  if (loss.match !== undefined) {
    try {
      new FrameMatcher(loss.match)
    } catch (error) {
      throw new LinkSettingsError('loss.match', loss.match, (error as Error).message)
    }
  }
  switch (loss.model) {
    case 'random':
      return checkChance('loss', loss)
    case 'gilbert-elliott':
      for (const key of ['toBad', 'toGood', 'lossInBad', 'lossInGood'] as const) within(`loss.${key}`, loss[key], 0, 1)
      return
    case 'states':
      for (const key of ['p13', 'p31', 'p32', 'p23', 'p14'] as const) within(`loss.${key}`, loss[key], 0, 1)
      if (loss.p13 + loss.p14 > 1) throw new LinkSettingsError('loss', loss.p13 + loss.p14, 'p13 and p14 together must be at most 1')
      if (loss.p31 + loss.p32 > 1) throw new LinkSettingsError('loss', loss.p31 + loss.p32, 'p31 and p32 together must be at most 1')
      return
    case 'nth':
      return whole('loss.n', loss.n, 1, 2 ** 31 - 1)
    default:
      throw new LinkSettingsError('loss.model', (loss as { model: unknown }).model, 'must be random, gilbert-elliott, states or nth')
  }
}

function checkReorder(reorder: ReorderSettings, delay: DelaySettings | undefined): void {
  checkChance('reorder', reorder)
  whole('reorder.gap', reorder.gap ?? 1, 1, 2 ** 31 - 1)
  if (delay === undefined || delay.meanNs === 0)
    throw new LinkSettingsError('reorder', reorder, 'needs a delay: only a frame that is not delayed can overtake')
}

function checkChance(name: string, { probability, correlation = 0 }: ChanceSettings): void {
  within(`${name}.probability`, probability, 0, 1)
  within(`${name}.correlation`, correlation, -1, 1)
  // The chain's second probability must be one.
  const lowest = probability === 0 || probability === 1 ? -1 : -Math.min(probability / (1 - probability), (1 - probability) / probability)
  if (correlation < lowest)
    throw new LinkSettingsError(`${name}.correlation`, correlation, `cannot be below ${lowest} where the probability is ${probability}`)
}

function checkRate({ bitsPerSecond, burstBytes = 0, overheadBytes = 0, cellBytes = 0, cellOverheadBytes = 0 }: RateSettings): void {
  within('rate.bitsPerSecond', bitsPerSecond, 1, RATE_MAX)
  within('rate.burstBytes', burstBytes, 0, 2 ** 40)
  whole('rate.overheadBytes', overheadBytes, -1024, 65_535)
  whole('rate.cellBytes', cellBytes, 0, 65_535)
  whole('rate.cellOverheadBytes', cellOverheadBytes, -1024, 65_535)
}

function checkQueue({ packets, bytes, discipline = 'drop-tail', targetNs, intervalNs, flows, quantumBytes }: QueueSettings): void {
  if (packets !== undefined) whole('queue.packets', packets, 1, PACKETS_MAX)
  if (bytes !== undefined) whole('queue.bytes', bytes, 1, 2 ** 42)
  if (!['drop-tail', 'codel', 'fq-codel'].includes(discipline)) {
    throw new LinkSettingsError('queue.discipline', discipline, 'must be drop-tail, codel or fq-codel')
  }
  if (targetNs !== undefined) within('queue.targetNs', targetNs, 1, HOLD_MAX)
  if (intervalNs !== undefined) within('queue.intervalNs', intervalNs, 1, HOLD_MAX)
  if (flows !== undefined) whole('queue.flows', flows, 1, 65_536)
  if (quantumBytes !== undefined) whole('queue.quantumBytes', quantumBytes, 1, 2 ** 30)
}

function checkSchedule({ points, repeatNs }: NonNullable<LinkSettings['schedule']>, loss: LossSettings | undefined): void {
  if (!Array.isArray(points) || points.length === 0) throw new LinkSettingsError('schedule.points', points, 'must be a list of points')
  let before = -1
  for (const { atNs, bitsPerSecond, delayNs, lossProbability, down } of points as readonly SchedulePoint[]) {
    within('schedule.atNs', atNs, 0, Number.MAX_SAFE_INTEGER)
    if (down !== undefined && typeof down !== 'boolean') throw new LinkSettingsError('schedule.down', down, 'must be true or false')
    if (atNs <= before) throw new LinkSettingsError('schedule.atNs', atNs, 'must be later than the point before')
    before = atNs
    if (bitsPerSecond !== undefined) within('schedule.bitsPerSecond', bitsPerSecond, 1, RATE_MAX)
    if (delayNs !== undefined) within('schedule.delayNs', delayNs, 0, HOLD_MAX / 4)
    if (lossProbability !== undefined) {
      within('schedule.lossProbability', lossProbability, 0, 1)
      if (loss !== undefined && loss.model !== 'random')
        throw new LinkSettingsError('loss.model', loss.model, 'cannot follow a schedule: only random can')
    }
  }
  if (repeatNs !== undefined && !(repeatNs > before)) {
    throw new LinkSettingsError('schedule.repeatNs', repeatNs, 'must be later than the last point')
  }
}

function within(field: string, value: unknown, least: number, most: number): void {
  if (typeof value !== 'number' || !(value >= least && value <= most)) {
    throw new LinkSettingsError(field, value, `must be a number from ${least} to ${most}`)
  }
}

function whole(field: string, value: unknown, least: number, most: number): void {
  within(field, value, least, most)
  if (!Number.isInteger(value)) throw new LinkSettingsError(field, value, 'must be a whole number')
}

import { constants } from 'node:os'
import { ApiError } from '../../api/api-error.ts'

const LAST_SIGNAL = 64
const REAL_TIME_FIRST = 34

/**
 * The number of '9', 'KILL', 'SIGKILL' or 'RTMIN+1', in any case. Throws ApiError 400 `Invalid signal: X`, and
 * 500 for a number that is none, as Docker does.
 */
export function signalNumber(text: string): number {
  if (/^[+-]?\d+$/.test(text)) {
    const number = Number(text)
    if (number >= 1 && number <= LAST_SIGNAL) return number
    if (number === 0) throw ApiError.badRequest(`Invalid signal: ${text}`)
    throw ApiError.internal(`The linux daemon does not support signal ${BigInt.asUintN(64, BigInt(text))}`)
  }
  const name = text.toUpperCase().replace(/^SIG/, '')
  const realTime = /^RTM(IN|AX)(?:([+-])(\d+))?$/.exec(name)
  if (realTime !== null) {
    const base = realTime[1] === 'IN' ? REAL_TIME_FIRST : LAST_SIGNAL
    const number = base + Number(`${realTime[2] ?? '+'}${realTime[3] ?? 0}`)
    if (number >= REAL_TIME_FIRST && number <= LAST_SIGNAL) return number
  }
  const number = (constants.signals as Record<string, number>)[`SIG${name}`]
  if (number === undefined) throw ApiError.badRequest(`Invalid signal: ${text}`)
  return number
}

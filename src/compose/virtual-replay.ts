/**
 * A capture in place of a virtual host: its frames are sent as they were recorded, and nobody answers.
 *
 *   x-netloom: { virtual: true, replay: web.pcapng }
 *   x-netloom: { virtual: true, replay: { file: web.pcapng, speed: 2, loop: forever, interface: eth0, filter: udp, map: [OLD=NEW] } }
 */
import path from 'node:path'
import { AddressMap } from '../replay/address-map.ts'
import type { Value } from './value.ts'

export interface VirtualReplay {
  /** Absolute. */
  readonly file: string
  /** 2: twice as fast; `max`: as fast as possible. */
  readonly speed: number | 'max'
  /** Infinity: for ever. */
  readonly loop: number
  /** Frames of each round at most. */
  readonly limit: number | undefined
  readonly interface: string | undefined
  /** In libpcap's language; the host knows whether it is any. */
  readonly filter: string | undefined
  readonly map: readonly string[]
}

const MOST = Number.MAX_SAFE_INTEGER

/** @param directory of the lab file, which the path of the capture is relative to */
export function readReplay(value: Value, directory: string): VirtualReplay {
  const whole = { speed: 1, loop: 1, limit: undefined, interface: undefined, filter: undefined, map: [] } as const
  if (!value.isMap) return { ...whole, file: path.resolve(directory, value.word()) }
  const given = value.members(['file', 'speed', 'loop', 'limit', 'interface', 'filter', 'map'])
  const { file, speed, loop, limit, interface: from, filter, map } = given
  const rules = map?.texts({ single: true }) ?? []
  map?.check(() => new AddressMap(rules))
  return {
    file: path.resolve(directory, (file ?? value.fail('a file is missing: file: web.pcapng')).word()),
    speed: speed === undefined ? 1 : readSpeed(speed),
    loop: loop === undefined ? 1 : loop.text() === 'forever' ? Number.POSITIVE_INFINITY : loop.integer(1, MOST),
    limit: limit?.integer(1, MOST),
    interface: from?.word(),
    filter: filter?.text(),
    map: rules
  }
}

function readSpeed(value: Value): number | 'max' {
  const text = value.text()
  if (text === 'max') return 'max'
  const speed = Number(text)
  return speed > 0 && Number.isFinite(speed) ? speed : value.fail(`'${text}' is neither a number above 0 nor max`)
}

/**
 * `link` of a lab file: how an attachment, a network's attachments, or a cable between emulated hosts behaves.
 *
 *   link: delay 50ms 5ms loss 1%                               both directions
 *   link: { out: rate 1mbit, in: rate 10mbit limit 200 }       what its owner sends, and gets
 *   link: { words: delay 50ms 10ms, distribution: lte.dist, trace: lte.trace }
 *   link: { words: limit 100, schedule: [0s rate 10mbit, 2s down, 2.5s up, end 10s] }
 *   link: { out: { trace: up.trace }, in: { trace: down.trace } }
 *
 * Paths are relative to the file's folder.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { linkOptions } from '../docker/network/link-options.ts'
import type { LinkChange } from '../network/link-shape.ts'
import { type LinkText, readLinkText } from '../network/link-text.ts'
import type { Value } from './value.ts'

export interface LinkSetting {
  /** As options of a network or an endpoint, or labels of a container. */
  readonly options: Readonly<Record<string, string>>
  /** As a cable is told. */
  readonly change: LinkChange
}

type Direction = Pick<LinkText, 'trace' | 'distribution'> & { readonly words?: string }

const MEMBERS = ['words', 'trace', 'schedule', 'distribution'] as const

/** @param directory of the file */
export function readLink(value: Value, directory: string): LinkSetting {
  if (!value.isMap) {
    const words = readWords(value)
    return setting(value, words, words)
  }
  const given = value.members([...MEMBERS, 'out', 'in'])
  const both = MEMBERS.find((member) => given[member] !== undefined)
  if (both === undefined) {
    if (given.out === undefined && given.in === undefined) value.fail('this says nothing: words, schedule, trace, out, in')
    const of = (at: Value | undefined): Direction | undefined => at && (at.isMap ? readDirection(at, directory) : readWords(at))
    return setting(value, of(given.out), of(given.in))
  }
  const named = given.out ?? given.in
  named?.fail(`'${both}' beside it is for both directions: write out: { ${both}: ... }, in: { ... }`)
  const direction = readDirection(value, directory)
  return setting(value, direction, direction)
}

function readWords(value: Value): Direction {
  return { words: value.word() }
}

function readDirection(value: Value, directory: string): Direction {
  const { words, trace, schedule, distribution } = value.members(MEMBERS)
  if (trace !== undefined) schedule?.fail('there is a trace already: only one of both can be')
  const file = (at: Value): string => at.check(() => readFileSync(path.resolve(directory, at.word()), 'utf8'))
  const lines = schedule?.texts()
  return {
    ...(words !== undefined && { words: words.word() }),
    ...(trace !== undefined && { trace: file(trace) }),
    ...(lines !== undefined && { trace: lines.join('\n') }),
    ...(distribution !== undefined && { distribution: file(distribution) })
  }
}

function setting(value: Value, out: Direction | undefined, inward: Direction | undefined): LinkSetting {
  return value.check(() => ({
    options: linkOptions(out, inward),
    change: { ...(out !== undefined && { out: readLinkText(out) }), ...(inward !== undefined && { in: readLinkText(inward) }) }
  }))
}

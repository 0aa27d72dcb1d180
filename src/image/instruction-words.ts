/** How the arguments of a Dockerfile instruction are cut into words. */
import { ImageError } from './image-error.ts'

/** The JSON form, `["a", "b"]`; null for any other text. */
export function parseJsonWords(text: string): string[] | null {
  if (!text.trim().startsWith('[')) return null
  try {
    const words: unknown = JSON.parse(text)
    return Array.isArray(words) && words.every((word) => typeof word === 'string') ? words : null
  } catch {
    return null
  }
}

/** Words between blanks. */
export function splitWords(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '')
}

/**
 * `NAME=value OTHER="two words"`, or the older form `NAME everything that follows`. Quotes and backslashes are taken off, and
 * `$NAME` and `${NAME}` stand for what `environment` ('NAME=value') has.
 */
export function parseNameValues(instruction: string, text: string, environment: readonly string[]): [name: string, value: string][] {
  const trimmed = text.trim()
  if (trimmed === '') throw new ImageError('invalid', `${instruction} requires at least one argument`)
  const words = quotedWords(trimmed)
  const variables = new Map(environment.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]))
  if (!words[0]!.includes('=')) {
    const match = /^(\S+)\s+(.*)$/s.exec(trimmed)
    if (match === null) throw new ImageError('invalid', `${instruction} must have two arguments`)
    return [[expand(match[1]!, variables), expand(match[2]!, variables)]]
  }
  return words.map((word) => {
    const equals = word.indexOf('=')
    if (equals === -1) {
      throw new ImageError('invalid', `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`)
    }
    const name = expand(word.slice(0, equals), variables)
    if (name === '') throw new ImageError('invalid', `${instruction} names can not be blank`)
    return [name, expand(word.slice(equals + 1), variables)]
  })
}

/** Words between blanks outside quotes, quotes and backslashes still in them. */
function quotedWords(text: string): string[] {
  return text.match(/(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s\\"']|["'\\])+/gs) ?? []
}

/** Takes quotes off and puts variables in, as a shell does. */
function expand(text: string, variables: ReadonlyMap<string, string>): string {
  let result = ''
  let quote = ''
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!
    if (quote === "'") {
      if (char === "'") quote = ''
      else result += char
    } else if (char === '\\') {
      const next = text[++at]
      // Inside double quotes a backslash is only for what has a meaning there.
      result += next === undefined || (quote === '"' && !'"$\\'.includes(next)) ? `\\${next ?? ''}` : next
    } else if (char === '"') quote = quote === '"' ? '' : '"'
    else if (char === "'" && quote === '') quote = "'"
    else if (char === '$') {
      const match = /^\$(?:(\w+)|\{(\w+)(?:(:[-+])([^}]*))?\})/.exec(text.slice(at))
      if (match === null) result += char
      else {
        result += substitute(variables.get(match[1] ?? match[2]!), match[3], match[4] ?? '')
        at += match[0].length - 1
      }
    } else result += char
  }
  return result
}

function substitute(value: string | undefined, operator: string | undefined, word: string): string {
  const isSet = value !== undefined && value !== ''
  if (operator === ':-') return isSet ? value : word
  if (operator === ':+') return isSet ? word : ''
  return value ?? ''
}

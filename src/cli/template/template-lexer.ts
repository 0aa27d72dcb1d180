/** Cuts a template into its texts and actions, and an action into its words. Grammar: Go's text/template. */
import { TemplateError } from './template-error.ts'

export type TokenKind = 'field' | 'variable' | 'word' | 'string' | 'number' | 'sign'

export interface Token {
  readonly kind: TokenKind
  /** As written; of a string what it stands for. */
  readonly text: string
  /** Place in the template, from 0. */
  readonly at: number
  /** A blank is before it: `.a .b` are two arguments, `.a.b` is one. */
  readonly isApart: boolean
}

export type Piece = { readonly text: string } | { readonly tokens: readonly Token[]; readonly at: number }

const SPACE = ' \t\r\n'
const WORD = /[$.]?[\p{L}_][\p{L}\p{N}_]*|\.|\$|-?0x[0-9a-fA-F]+|-?\d+(?:\.\d+)?|:=|[|()=,]/uy

/** Texts and actions in turn; comments are left out, blanks beside `{{-` and `-}}` too. */
export function cutTemplate(template: string): Piece[] {
  const pieces: Piece[] = []
  let at = 0
  let isTrimmed = false
  for (;;) {
    const open = template.indexOf('{{', at)
    let text = template.slice(at, open === -1 ? template.length : open)
    if (isTrimmed) text = text.trimStart()
    if (open !== -1 && template[open + 2] === '-' && SPACE.includes(template[open + 3] ?? 'x')) text = text.trimEnd()
    if (text !== '') pieces.push({ text })
    if (open === -1) return pieces
    const action = readAction(template, open)
    if (action.tokens.length > 0) pieces.push({ tokens: action.tokens, at: open })
    at = action.end
    isTrimmed = action.isTrimmed
  }
}

function readAction(template: string, open: number): { tokens: Token[]; end: number; isTrimmed: boolean } {
  const tokens: Token[] = []
  let at = open + 2
  if (template[at] === '-' && SPACE.includes(template[at + 1] ?? 'x')) at += 2
  if (template.startsWith('/*', at)) {
    const end = template.indexOf('*/', at)
    const close = /^\s*(-?)\}\}/.exec(template.slice(end + 2))
    if (end === -1 || close === null) throw bad(template, open, 'unclosed comment')
    return { tokens, end: end + 2 + close[0].length, isTrimmed: close[1] === '-' }
  }
  let isApart = true
  for (;;) {
    const char = template[at]
    if (char === undefined) throw bad(template, open, 'unclosed action')
    if (SPACE.includes(char)) {
      at++
      isApart = true
      if (template.startsWith('-}}', at)) return { tokens, end: at + 3, isTrimmed: true }
      continue
    }
    if (template.startsWith('}}', at)) return { tokens, end: at + 2, isTrimmed: false }
    const token = char === '"' || char === '`' || char === "'" ? readString(template, at) : readWord(template, at)
    tokens.push({ ...token.token, at, isApart })
    at = token.end
    isApart = false
  }
}

function readWord(template: string, at: number): { token: { kind: TokenKind; text: string }; end: number } {
  WORD.lastIndex = at
  const text = WORD.exec(template)?.[0]
  if (text === undefined) throw bad(template, at, `unexpected ${JSON.stringify(template[at])} in operand`)
  return { token: { kind: kindOf(text), text }, end: at + text.length }
}

function kindOf(text: string): TokenKind {
  if (text.startsWith('.')) return 'field'
  if (text.startsWith('$')) return 'variable'
  if (/^-?\d/.test(text)) return 'number'
  return /^[\p{L}_]/u.test(text) ? 'word' : 'sign'
}

function readString(template: string, at: number): { token: { kind: TokenKind; text: string }; end: number } {
  const quote = template[at]!
  let end = at + 1
  for (; template[end] !== quote; end++) {
    if (template[end] === undefined || (template[end] === '\n' && quote !== '`')) throw bad(template, at, 'unterminated quoted string')
    if (template[end] === '\\' && quote !== '`') end++
  }
  const inner = template.slice(at + 1, end)
  if (quote === "'") return { token: { kind: 'number', text: String(unquote(inner).codePointAt(0)) }, end: end + 1 }
  return { token: { kind: 'string', text: quote === '`' ? inner : unquote(inner) }, end: end + 1 }
}

const ESCAPES: Readonly<Record<string, string>> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

/** Go's escapes in a quoted text. */
export function unquote(text: string): string {
  return text.replace(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([\s\S]))/g,
    (_all, x, u, long, octal, other) => {
      const hex = x ?? u ?? long
      if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16))
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8))
      return ESCAPES[other] ?? other
    }
  )
}

/** Where in a template, as Go counts: lines from 1. */
export function lineOf(template: string, at: number): number {
  return template.slice(0, at).split('\n').length
}

function bad(template: string, at: number, problem: string): TemplateError {
  return new TemplateError(`template: :${lineOf(template, at)}: ${problem}`)
}

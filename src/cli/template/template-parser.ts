/** A template as a tree. Of Go's text/template: everything but define, template, block, break and continue. */
import { TemplateError } from './template-error.ts'
import { FUNCTIONS } from './template-functions.ts'
import { cutTemplate, lineOf, type Piece, type Token } from './template-lexer.ts'

export type Operand =
  | { readonly kind: 'dot' }
  | { readonly kind: 'nil' }
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  /** `.a.b`, `$x.a` or `(pipeline).a`: fields of something; of the dot when `of` is null. */
  | { readonly kind: 'fields'; readonly of: Operand | null; readonly names: readonly string[]; readonly at: number }
  | { readonly kind: 'variable'; readonly name: string; readonly at: number }
  | { readonly kind: 'function'; readonly name: string; readonly at: number }
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline }

export interface Pipeline {
  /** `$a := `, `$i, $v := ` or, with `assigns`, `$a = `. */
  readonly variables: readonly string[]
  readonly assigns: boolean
  /** Each: what is called, and its arguments. */
  readonly commands: readonly (readonly Operand[])[]
}

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipeline: Pipeline }
  | {
      readonly kind: 'if' | 'with' | 'range'
      readonly pipeline: Pipeline
      readonly body: readonly Node[]
      readonly otherwise: readonly Node[]
    }

/** TemplateError with Go's words. */
export function parseTemplate(template: string): Node[] {
  const parser = new Parser(template, cutTemplate(template))
  return parser.parse()
}

class Parser {
  private readonly template: string
  private readonly pieces: Piece[]
  private tokens: readonly Token[] = []
  private next = 0
  private actionAt = 0
  private readonly variables: string[] = ['$']

  constructor(template: string, pieces: Piece[]) {
    this.template = template
    this.pieces = pieces
  }

  parse(): Node[] {
    const { nodes, end } = this.list()
    if (end !== null) throw this.bad(`unexpected {{${end}}}`)
    return nodes
  }

  /** Nodes up to an `end` or `else`, whose word is returned; null at the end of the template. */
  private list(): { nodes: Node[]; end: 'end' | 'else' | null } {
    const nodes: Node[] = []
    for (let piece = this.pieces.shift(); piece !== undefined; piece = this.pieces.shift()) {
      if ('text' in piece) {
        nodes.push({ kind: 'text', text: piece.text })
        continue
      }
      this.tokens = piece.tokens
      this.actionAt = piece.at
      this.next = 0
      const word = this.peek()?.kind === 'word' ? this.peek()!.text : ''
      if (word === 'end' || word === 'else') {
        this.next++
        return { nodes, end: word }
      }
      if (word === 'if' || word === 'with' || word === 'range') nodes.push(this.control(word))
      else if (['define', 'template', 'block', 'break', 'continue'].includes(word)) throw this.bad(`{{${word}}} is not supported here`)
      else nodes.push({ kind: 'action', pipeline: this.wholePipeline('command') })
    }
    return { nodes, end: null }
  }

  private control(kind: 'if' | 'with' | 'range'): Node {
    this.next++
    const known = this.variables.length
    const pipeline = this.wholePipeline(kind)
    const { nodes: body, end } = this.list()
    if (end === null) throw this.bad('unexpected EOF')
    let otherwise: readonly Node[] = []
    if (end === 'else') {
      const word = this.peek()?.text
      if ((word === 'if' || word === 'with') && this.peek()!.kind === 'word') otherwise = [this.control(word)]
      else {
        const rest = this.list()
        if (rest.end === null) throw this.bad('unexpected EOF')
        if (rest.end === 'else') throw this.bad('expected end; found {{else}}')
        otherwise = rest.nodes
      }
    }
    this.variables.length = known
    return { kind, pipeline, body, otherwise }
  }

  private wholePipeline(where: string): Pipeline {
    const pipeline = this.pipeline(where)
    const rest = this.peek()
    if (rest !== undefined) throw this.bad(`unexpected ${JSON.stringify(rest.text)} in ${where}`)
    return pipeline
  }

  private pipeline(where: string): Pipeline {
    const { names, assigns } = this.declaration(where)
    const commands: Operand[][] = []
    for (;;) {
      const command: Operand[] = []
      for (let token = this.peek(); token !== undefined && !isEnd(token); token = this.peek()) command.push(this.operand())
      if (command.length === 0) throw this.bad(`missing value for ${where}`)
      commands.push(command)
      if (this.peek()?.text !== '|' || this.peek()?.kind !== 'sign') break
      this.next++
    }
    // Known only from here on: `$x := $x` would name itself.
    if (!assigns) this.variables.push(...names)
    return { variables: names, assigns, commands }
  }

  private declaration(where: string): { names: string[]; assigns: boolean } {
    const start = this.next
    const names: string[] = []
    while (this.peek()?.kind === 'variable') {
      names.push(this.tokens[this.next++]!.text)
      const sign = this.peek()
      if (sign?.text === ',' && names.length === 1 && where === 'range') {
        this.next++
        continue
      }
      if (sign?.text !== ':=' && sign?.text !== '=') break
      this.next++
      for (const name of names) if (sign.text === '=' && !this.variables.includes(name)) throw this.bad(`undefined variable "${name}"`)
      return { names, assigns: sign.text === '=' }
    }
    this.next = start
    return { names: [], assigns: false }
  }

  private operand(): Operand {
    const token = this.tokens[this.next++]!
    let operand = this.simpleOperand(token)
    if (token.kind === 'field' && token.text !== '.') operand = { kind: 'fields', of: null, names: [token.text.slice(1)], at: token.at }
    const names: string[] = []
    for (let field = this.peek(); field?.kind === 'field' && !field.isApart && field.text !== '.'; field = this.peek()) {
      names.push(field.text.slice(1))
      this.next++
    }
    if (names.length === 0) return operand
    if (operand.kind === 'fields') return { ...operand, names: [...operand.names, ...names] }
    return { kind: 'fields', of: operand, names, at: token.at }
  }

  private simpleOperand(token: Token): Operand {
    const { kind, text, at } = token
    if (kind === 'field') return { kind: 'dot' }
    if (kind === 'string') return { kind: 'literal', value: text }
    if (kind === 'number') return { kind: 'literal', value: Number(text) }
    if (kind === 'variable') {
      if (!this.variables.includes(text)) throw this.bad(`undefined variable ${JSON.stringify(text)}`)
      return { kind: 'variable', name: text, at }
    }
    if (text === '(') {
      const pipeline = this.pipeline('parenthesized pipeline')
      if (this.tokens[this.next++]?.text !== ')') throw this.bad('unclosed left paren')
      return { kind: 'pipeline', pipeline }
    }
    if (kind !== 'word') throw this.bad(`unexpected ${JSON.stringify(text)} in operand`)
    if (text === 'true' || text === 'false') return { kind: 'literal', value: text === 'true' }
    if (text === 'nil') return { kind: 'nil' }
    if (!Object.hasOwn(FUNCTIONS, text) && !['and', 'or'].includes(text)) throw this.bad(`function ${JSON.stringify(text)} not defined`)
    return { kind: 'function', name: text, at }
  }

  private peek(): Token | undefined {
    return this.tokens[this.next]
  }

  private bad(problem: string): TemplateError {
    return new TemplateError(`template: :${lineOf(this.template, this.actionAt)}: ${problem}`)
  }
}

function isEnd(token: Token): boolean {
  return token.kind === 'sign' && (token.text === '|' || token.text === ')')
}

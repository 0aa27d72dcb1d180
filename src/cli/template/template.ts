/** Carries out templates of `--format`: what Docker's client takes, as far as the README says. */
import { TemplateError } from './template-error.ts'
import { FUNCTIONS } from './template-functions.ts'
import { lineOf } from './template-lexer.ts'
import { type Node, type Operand, type Pipeline, parseTemplate } from './template-parser.ts'
import { isTrue, printValue, type Value } from './template-value.ts'

export class Template {
  private readonly source: string
  private readonly nodes: readonly Node[]

  /** TemplateError when it cannot be read. */
  constructor(source: string) {
    this.source = source
    this.nodes = parseTemplate(source)
  }

  /** The text for one value. TemplateError when it asks for a field that is not there, or calls a function wrongly. */
  execute(value: Value): string {
    return new Execution(this.source, value).run(this.nodes, value)
  }
}

class Execution {
  private readonly source: string
  /** Innermost last. */
  private readonly variables: { name: string; value: Value }[]

  constructor(source: string, root: Value) {
    this.source = source
    this.variables = [{ name: '$', value: root }]
  }

  run(nodes: readonly Node[], dot: Value): string {
    let text = ''
    for (const node of nodes) {
      if (node.kind === 'text') text += node.text
      else if (node.kind === 'action') {
        const value = this.pipeline(node.pipeline, dot)
        if (node.pipeline.variables.length === 0) text += printValue(value)
      } else text += this.control(node, dot)
    }
    return text
  }

  private control(node: Extract<Node, { pipeline: Pipeline; body: readonly Node[] }>, dot: Value): string {
    const depth = this.variables.length
    const value = node.kind === 'range' ? this.value(node.pipeline, dot) : this.pipeline(node.pipeline, dot)
    let text = ''
    if (node.kind === 'range') text = this.range(node, value, dot)
    else if (isTrue(value)) text = this.run(node.body, node.kind === 'with' ? value : dot)
    else text = this.run(node.otherwise, dot)
    this.variables.length = depth
    return text
  }

  private range(node: Extract<Node, { pipeline: Pipeline; body: readonly Node[] }>, value: Value, dot: Value): string {
    const items = entriesOf(value)
    if (items.length === 0) return this.run(node.otherwise, dot)
    const { variables: names } = node.pipeline
    let text = ''
    for (const [key, item] of items) {
      const depth = this.variables.length
      if (names.length === 1) this.variables.push({ name: names[0]!, value: item })
      if (names.length === 2) this.variables.push({ name: names[0]!, value: key }, { name: names[1]!, value: item })
      text += this.run(node.body, item)
      this.variables.length = depth
    }
    return text
  }

  private pipeline(pipeline: Pipeline, dot: Value): Value {
    const value = this.value(pipeline, dot)
    for (const name of pipeline.variables) {
      const known = pipeline.assigns ? this.variables.findLast((variable) => variable.name === name) : undefined
      if (known === undefined) this.variables.push({ name, value })
      else known.value = value
    }
    return value
  }

  private value(pipeline: Pipeline, dot: Value): Value {
    let result: Value
    for (const [at, command] of pipeline.commands.entries()) {
      result = this.command(command, dot, at === 0 ? [] : [result])
    }
    return result
  }

  /** `piped`: what the command before gave, as the last argument. */
  private command([called, ...written]: readonly Operand[], dot: Value, piped: readonly Value[]): Value {
    if (called!.kind === 'function') {
      const { name, at } = called!
      if (name === 'and' || name === 'or') return this.shortCircuit(name, written, dot, piped)
      try {
        return FUNCTIONS[name]!(...written.map((operand) => this.operand(operand, dot)), ...piped)
      } catch (error) {
        throw error instanceof TemplateError && !error.message.startsWith('template:') ? this.bad(at, name, error.message) : error
      }
    }
    const value = this.operand(called!, dot)
    const values = [...written.map((operand) => this.operand(operand, dot)), ...piped]
    if (typeof value === 'function') return (value as (...values: Value[]) => Value)(...values)
    if (values.length > 0) throw new TemplateError(`template: :1: can't give argument to non-function`)
    return value
  }

  /** The first that decides is the result, and what follows is not looked at. */
  private shortCircuit(name: 'and' | 'or', written: readonly Operand[], dot: Value, piped: readonly Value[]): Value {
    let value: Value
    for (const operand of written) {
      value = this.operand(operand, dot)
      if (isTrue(value) === (name === 'or')) return value
    }
    return piped.length > 0 ? piped[0] : value
  }

  private operand(operand: Operand, dot: Value): Value {
    switch (operand.kind) {
      case 'dot':
        return dot
      case 'nil':
        return null
      case 'literal':
        return operand.value
      case 'variable':
        return this.variables.findLast(({ name }) => name === operand.name)!.value
      case 'function':
        return this.command([operand], dot, [])
      case 'pipeline':
        return this.value(operand.pipeline, dot)
      case 'fields': {
        let value = operand.of === null ? dot : this.operand(operand.of, dot)
        for (const name of operand.names) value = this.field(value, name, operand)
        return value
      }
    }
  }

  private field(value: Value, name: string, { names, at }: { names: readonly string[]; at: number }): Value {
    const shown = `.${names.join('.')}`
    if (value === null || value === undefined) throw this.bad(at, shown, `nil data; no entry for key "${name}"`)
    if (typeof value !== 'object' || Array.isArray(value)) throw this.bad(at, shown, `can't evaluate field ${name} in type interface {}`)
    if (!Object.hasOwn(value, name)) throw this.bad(at, shown, `map has no entry for key "${name}"`)
    return (value as Record<string, Value>)[name]
  }

  private bad(at: number, shown: string, problem: string): TemplateError {
    const column = at - (this.source.lastIndexOf('\n', at - 1) + 1)
    return new TemplateError(`template: :${lineOf(this.source, at)}:${column}: executing "" at <${shown}>: ${problem}`)
  }
}

/** Of a list with their places, of a map in the order of its keys. */
function entriesOf(value: Value): [Value, Value][] {
  if (Array.isArray(value)) return value.map((item, at) => [at, item])
  if (typeof value === 'number') return Array.from({ length: value }, (_, at) => [at, at])
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
}

/**
 * Regular expressions as Go's `regexp` reads them (github.com/google/re2/wiki/Syntax), found in time proportional to the text.
 *
 * Patterns come from clients, and JavaScript's backtracking takes exponential time for some: `([0-9a-f]+)+x` on a container's id would hold
 * the daemon for years. Here all ways through the pattern are walked at once (Thompson, 1968): a state is entered once per character.
 */
import { GoRegexpParser, type RegexpNode } from './go-regexp-parser.ts'

type State =
  | { readonly kind: 'character'; readonly test: (point: number) => boolean; readonly next: number }
  | { readonly kind: 'place'; readonly test: (before: number, after: number) => boolean; readonly next: number }
  | { readonly kind: 'fork'; readonly next: number; readonly other: number }
  | { readonly kind: 'found' }

/** Far more than anybody writes; with it a pattern on a name of 255 letters takes milliseconds. Also the letters of a pattern. */
const MAX_STATES = 4096

/** Before the first character and behind the last. */
const NOTHING = -1

export class GoRegexp {
  private readonly states: State[] = [{ kind: 'found' }]
  private readonly start: number
  private built = 0
  /** The position at which a state was last entered. */
  private readonly entered: Int32Array

  /** Throws SyntaxError where Go would, and for a pattern of more than 4,096 states (`x{1000}` is a thousand). */
  constructor(pattern: string) {
    if (pattern.length > MAX_STATES) throw new SyntaxError('expression too large')
    this.start = this.build(new GoRegexpParser(pattern).parse(), 0)
    this.entered = new Int32Array(this.states.length)
  }

  /** Whether it is found anywhere in the text. */
  test(text: string): boolean {
    const points = Array.from(text, (letter) => letter.codePointAt(0)!)
    this.entered.fill(-1)
    let live: number[] = []
    for (let at = 0; at <= points.length; at++) {
      const before = at === 0 ? NOTHING : points[at - 1]!
      const after = at === points.length ? NOTHING : points[at]!
      // It may begin at each character.
      const open = [...live, this.start]
      live = []
      while (open.length > 0) {
        const number = open.pop()!
        if (this.entered[number] === at) continue
        this.entered[number] = at
        const state = this.states[number]!
        if (state.kind === 'found') return true
        if (state.kind === 'fork') open.push(state.next, state.other)
        else if (state.kind === 'place' && state.test(before, after)) open.push(state.next)
        else if (state.kind === 'character' && after !== NOTHING && state.test(after)) live.push(state.next)
      }
    }
    return false
  }

  /** The state where the node begins; behind it `next` follows. */
  private build(node: RegexpNode, next: number): number {
    // Counted also where no state is added: `(){1000}{1000}{1000}` has none.
    if (++this.built > MAX_STATES) throw new SyntaxError('expression too large')
    switch (node.kind) {
      case 'character':
      case 'place':
        return this.states.push({ ...node, next } as State) - 1
      case 'sequence':
        return node.parts.reduceRight((behind, part) => this.build(part, behind), next)
      case 'choice':
        return node.parts.map((part) => this.build(part, next)).reduceRight((other, first) => this.fork(first, other))
      case 'repeat':
        return this.repeat(node, next)
    }
  }

  private repeat({ part, least, most }: Extract<RegexpNode, { kind: 'repeat' }>, next: number): number {
    let begin = next
    if (most === Number.POSITIVE_INFINITY) {
      begin = this.fork(next, next)
      this.states[begin] = { kind: 'fork', next: this.build(part, begin), other: next }
    } else {
      for (let count = least; count < most; count++) begin = this.fork(this.build(part, begin), next)
    }
    for (let count = 0; count < least; count++) begin = this.build(part, begin)
    return begin
  }

  private fork(next: number, other: number): number {
    return this.states.push({ kind: 'fork', next, other }) - 1
  }
}

/**
 * The rules of the tree, as DESIGN.md section 2 draws it, judged on the syntax of one source file at a time.
 *
 * Imports go downward only. In the two lowest layers folders do not know each other at all; from L2 on folders of one layer
 * may import one another, but not in a circle (`findCycle`, over all edges together).
 * Time, timers and chance come in through the engine's clock and random, so that a virtual clock and a seed rule everything.
 */
import path from 'node:path'
import ts from 'typescript'

/** Folder under src -> layer. `index` and `testing` are src/index.ts and src/testing.ts, what users import: on top of everything. */
export const LAYERS: Readonly<Record<string, number>> = {
  wire: 0,
  engine: 0,
  elements: 1,
  io: 1,
  capture: 1,
  decode: 1,
  stack: 2,
  ipam: 2,
  dns: 2,
  store: 2,
  network: 3,
  replay: 3,
  cluster: 3,
  sandbox: 3,
  image: 3,
  lab: 4,
  api: 4,
  docker: 5,
  client: 5,
  compose: 5,
  daemon: 6,
  emulation: 6,
  cli: 6,
  index: 7,
  testing: 7
}

/** Below this layer, folders of the same layer are closed to each other: elements never import io. */
const FIRST_OPEN_LAYER = 2

/** Where real time and real chance may be touched: the two sources of the engine and the outermost layer. */
const OUTSIDE_TIME = [
  /^src\/engine\/[a-z-]*clock[a-z-]*\.ts$/,
  /^src\/engine\/[a-z-]*random[a-z-]*\.ts$/,
  /^src\/(api|client|cli|daemon|emulation)\//
]

const TIME_MEMBERS = new Set(['Date.now', 'Math.random', 'performance.now', 'performance.timeOrigin', 'process.hrtime'])
const TIMERS = new Set(['setTimeout', 'setInterval', 'setImmediate'])
const DUMP_NAMES = new Set(['utils.ts', 'helpers.ts', 'types.ts', 'util.ts', 'helper.ts', 'common.ts', 'misc.ts'])

/** `kind` names the rule broken; `detail` the import, name or call. */
export interface Violation {
  kind: 'layer' | 'time' | 'default-export' | 'file-name'
  file: string
  line: number
  detail: string
}

export interface Edge {
  from: string
  to: string
}

export interface Judgement {
  violations: Violation[]
  /** Folder to folder, within src, other folders only. */
  edges: Edge[]
}

/** The folder of a path such as src/io/tap-device.ts; undefined outside src. */
export function folderOf(file: string): string | undefined {
  const parts = file.split('/')
  if (parts[0] !== 'src') return undefined
  return parts.length === 2 ? path.posix.basename(parts[1], '.ts') : parts[1]
}

/** Judges one file; `file` is its path from the root of the tree with forward slashes. */
export function judge(file: string, text: string): Judgement {
  const violations: Violation[] = []
  const edges: Edge[] = []
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const folder = folderOf(file)
  const isVirtualTime = folder !== undefined && !OUTSIDE_TIME.some((pattern) => pattern.test(file))
  const report = (kind: Violation['kind'], at: ts.Node, detail: string): void => {
    violations.push({ kind, file, line: source.getLineAndCharacterOfPosition(at.getStart(source)).line + 1, detail })
  }
  if (DUMP_NAMES.has(path.posix.basename(file))) report('file-name', source, `${path.posix.basename(file)} says nothing of what is in it`)
  if (folder !== undefined && LAYERS[folder] === undefined) report('layer', source, `src/${folder} has no layer: add it to LAYERS`)

  const visit = (node: ts.Node): void => {
    const specifier = importedBy(node)
    if (specifier !== undefined && folder !== undefined) {
      const to = targetFolder(file, specifier)
      if (to !== undefined && to !== folder) {
        edges.push({ from: folder, to })
        if (!mayImport(folder, to)) report('layer', node, `${folder} imports ${to} (${specifier})`)
      }
    }
    if (isDefaultExport(node)) report('default-export', node, 'default export: give it a name')
    const time = isVirtualTime ? timeUse(node) : undefined
    if (time !== undefined) report('time', node, `${time}: take the clock, timers or random of the engine as an argument`)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return { violations, edges }
}

function mayImport(from: string, to: string): boolean {
  const upper = LAYERS[from]
  const lower = LAYERS[to]
  if (upper === undefined || lower === undefined) return false
  return lower < upper || (lower === upper && upper >= FIRST_OPEN_LAYER)
}

/** The module that a node names: import and export declarations, import(), import types, and `new URL(x, import.meta.url)` of a worker. */
function importedBy(node: ts.Node): string | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return textOf(node.moduleSpecifier)
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return textOf(node.argument.literal)
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) return textOf(node.arguments[0])
  if (ts.isNewExpression(node) && node.expression.getText() === 'URL' && node.arguments?.[1]?.getText() === 'import.meta.url') {
    return textOf(node.arguments[0])
  }
  return undefined
}

function textOf(node: ts.Node | undefined): string | undefined {
  return node !== undefined && ts.isStringLiteralLike(node) ? node.text : undefined
}

/** The folder under src that a relative specifier leads to; undefined for packages and for what is outside src (native, package.json). */
function targetFolder(file: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  const target = path.posix.join(path.posix.dirname(file), specifier).replace(/\.js$/, '.ts')
  return target.endsWith('.ts') ? folderOf(target) : undefined
}

function isDefaultExport(node: ts.Node): boolean {
  if (ts.isExportAssignment(node)) return true
  if (ts.isExportSpecifier(node)) return node.name.text === 'default'
  return ts.canHaveModifiers(node) && (ts.getModifiers(node)?.some((modifier) => modifier.kind === ts.SyntaxKind.DefaultKeyword) ?? false)
}

/** The name of real time or chance that a node uses, if any. */
function timeUse(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node)) {
    const member = node
      .getText()
      .replace(/^globalThis\./, '')
      .replace(/\s/g, '')
    return TIME_MEMBERS.has(member) || TIMERS.has(member) ? member : undefined
  }
  if (ts.isNewExpression(node) && node.expression.getText() === 'Date' && (node.arguments?.length ?? 0) === 0) return 'new Date()'
  if (ts.isCallExpression(node) && node.expression.getText() === 'Date') return 'Date()'
  if (ts.isIdentifier(node) && TIMERS.has(node.text) && !isMemberName(node)) return node.text
  return undefined
}

/** Whether an identifier only names a member, as in `socket.setTimeout` or `{ setTimeout: ... }`. */
function isMemberName(node: ts.Identifier): boolean {
  const parent = node.parent
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node
  return (ts.isPropertyAssignment(parent) || ts.isClassElement(parent) || ts.isTypeElement(parent)) && parent.name === node
}

/** A circle among the edges, as the folders on it in order, or null. */
export function findCycle(edges: readonly Edge[]): string[] | null {
  const targets = new Map<string, Set<string>>()
  for (const { from, to } of edges) targets.set(from, (targets.get(from) ?? new Set()).add(to))
  const done = new Set<string>()
  const walk = (folder: string, trail: string[]): string[] | null => {
    const seen = trail.indexOf(folder)
    if (seen >= 0) return [...trail.slice(seen), folder]
    if (done.has(folder)) return null
    for (const next of targets.get(folder) ?? []) {
      const cycle = walk(next, [...trail, folder])
      if (cycle !== null) return cycle
    }
    done.add(folder)
    return null
  }
  for (const folder of targets.keys()) {
    const cycle = walk(folder, [])
    if (cycle !== null) return cycle
  }
  return null
}

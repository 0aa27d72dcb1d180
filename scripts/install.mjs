// Runs at `npm ci` / `npm install`: builds the addon, the shim and, in a checkout, the TypeScript.
// A machine without a compiler still gets a working library (no TAPs, no sandboxes): the failure is told, not thrown.
//
// `npx netloom` in a checkout comes here too, every time: npx links the package into its cache and runs its install script.
// So nothing is built whose inputs are those of the last build; `npm rebuild` builds all the same.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)

const native = {
  label: 'the native build',
  inputs: ['binding.gyp', 'native'],
  tools: ['node-gyp', 'node-addon-api'],
  outputs: ['build/Release/netloom_native.node', 'build/Release/netloom-shim', 'build/Release/netloom-uplink'],
  stamp: 'build/.built-from',
  build: () => [require.resolve('node-gyp/bin/node-gyp.js'), 'rebuild', '--silent', ...headers()]
}

const typescript = {
  label: 'the TypeScript build',
  inputs: ['tsconfig.json', 'src', 'test', 'bench', 'examples'],
  tools: ['typescript', '@types/node'],
  outputs: ['dist/src/index.js', 'dist/src/cli/main.js'],
  stamp: 'dist/.built-from',
  build: () => [path.join(root, 'scripts/build.mjs')]
}

/** Spares node-gyp a download where this node came with its headers. */
function headers() {
  const prefix = path.dirname(path.dirname(process.execPath))
  return existsSync(path.join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : []
}

/** Builds `part` unless it has been built from the very same inputs. Returns whether it is there. */
function ensure(part) {
  const stamp = path.join(root, part.stamp)
  const wanted = fingerprint(part)
  const current = existsSync(stamp) ? readFileSync(stamp, 'utf8') : ''
  const there = part.outputs.every((output) => existsSync(path.join(root, output)))
  if (there && current === wanted && process.env.npm_command !== 'rebuild') return true

  rmSync(stamp, { force: true })
  const result = spawnSync(process.execPath, part.build(), { cwd: root, stdio: 'inherit' })
  if (result.status !== 0) {
    console.error(`netloom: ${part.label} failed (${result.error?.message ?? `exit ${result.status}`})`)
    return false
  }
  writeFileSync(stamp, wanted)
  return true
}

/** Of all that a build depends on: sources, tools, this node. */
function fingerprint({ inputs, tools }) {
  const hash = createHash('sha256').update(`${process.version} ${process.arch} ${process.env.CXX} ${process.env.CXXFLAGS}\n`)
  for (const tool of tools) hash.update(`${tool} ${versionOf(tool)}\n`)
  for (const file of inputs.flatMap((input) => walk(path.join(root, input)))) {
    hash.update(`${path.relative(root, file)}\n`).update(readFileSync(file))
  }
  return hash.digest('hex')
}

function versionOf(tool) {
  try {
    return JSON.parse(readFileSync(require.resolve(`${tool}/package.json`), 'utf8')).version
  } catch {
    return 'none'
  }
}

/** The file itself, or all files below the folder, sorted; none when there is no such path. */
function walk(place) {
  if (!existsSync(place)) return []
  if (!statSync(place).isDirectory()) return [place]
  const below = readdirSync(place, { recursive: true }).sort()
  return below.map((name) => path.join(place, name)).filter((file) => statSync(file).isFile())
}

if (process.platform !== 'linux') console.error('netloom: not Linux: TAP devices and sandboxes are left out')
else if (!ensure(native)) {
  console.error('netloom: TAP devices and sandboxes will not work. Install a C++ compiler and Python 3, then: npm rebuild')
}
// The published package has no sources: it comes compiled.
if (existsSync(path.join(root, 'tsconfig.json')) && !ensure(typescript)) process.exit(1)

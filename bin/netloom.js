#!/usr/bin/env -S node --
// `--` ends node's own options: node 20 takes `--env-file` out of a script's words, too.
// Starts the compiled program. Says what to do where `npm ci` has not been run, or was run without the build.
import { existsSync } from 'node:fs'

const main = new URL('../dist/src/cli/main.js', import.meta.url)
if (existsSync(main)) {
  await import(main.href)
} else {
  const here = new URL('..', import.meta.url).pathname
  console.error(
    `netloom: it has not been built yet (there is no ${main.pathname})\n  fix: in ${here} run \`npm ci\` or \`node scripts/build.mjs\``
  )
  process.exitCode = 1
}

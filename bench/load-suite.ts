/** Finds suites by name: a file in bench/suites that exports `suite`. */
import { readdirSync } from 'node:fs'
import type { BenchSuite } from './bench-suite.ts'

const FOLDER = new URL('./suites/', import.meta.url)

export function suiteNames(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.js'))
    .map((file) => file.slice(0, -'.js'.length))
    .sort()
}

/** Throws when there is no such suite; the message names those that are. */
export async function loadSuite(name: string): Promise<BenchSuite> {
  if (!suiteNames().includes(name)) throw new Error(`there is no suite '${name}'; there are ${suiteNames().join(', ')}`)
  const { suite } = (await import(new URL(`${name}.js`, FOLDER).href)) as { suite: BenchSuite }
  return suite
}

/** The package that this file is part of, whether it runs from a checkout or from node_modules. */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'

/** The nearest folder upwards with a package.json. */
export function packageRoot(): string {
  for (let folder = import.meta.dirname; ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'package.json')) || folder === path.dirname(folder)) return folder
  }
}

/** From package.json rather than the library: `--version` and `--help` must not wait for the whole library to load. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')) as { version: string }).version
}

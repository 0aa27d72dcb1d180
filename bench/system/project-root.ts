import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout: this file runs as dist/bench/system/project-root.js. */
export const projectRoot = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..')

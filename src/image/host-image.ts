/**
 * The image `host`: the machine's own root, which containers of names that were never imported run on. What such a name runs
 * without a command comes from a table.
 */
import { createHash } from 'node:crypto'
import { accessSync, constants, statSync } from 'node:fs'
import path from 'node:path'
import type { Image } from './image.ts'
import { emptyConfig, type ImageConfig } from './image-config.ts'

type Settings = Partial<ImageConfig>

/**
 * Settings of names while no image of that name was imported. Of several, the first whose program (Entrypoint or Cmd) the host has
 * counts; where it has none, the first, so that starting it tells what is missing.
 */
export type ImageTable = Readonly<Record<string, Settings | readonly Settings[]>>

export const HOST_TAG = 'host:latest'

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * What runs a stand-in: as PID 1 of a container busybox's servers would not hear a signal that they have no handler for. The shell ends
 * at those that end nginx and redis (and everything with it), else with the server's status.
 */
const serve = (server: string): string => `trap 'exit 0' INT QUIT TERM; ${server} & wait $!`

/**
 * Stands in for nginx where it is not installed: busybox serves nginx's folder, with a page if there is none. An ordinary user's container
 * cannot write there, as the host's root is nobody in it: the page is elsewhere then.
 */
const WEB_STAND_IN =
  'd=/usr/share/nginx/html; if [ ! -e $d/index.html ]; then ' +
  '{ mkdir -p $d && [ -w $d ]; } 2> /dev/null || { d=/tmp/nginx; mkdir -p $d; }; ' +
  'echo "Welcome to nginx! (netloom: busybox httpd in its place)" > $d/index.html; fi; ' +
  serve('busybox httpd -f -p 80 -h $d')
/** Stands in for redis: answers each line with the answer to PING, which is what one tries a connection with. */
const REDIS_STAND_IN = serve(String.raw`busybox nc -ll -p 6379 -e sh -c 'while read -r line; do printf "+PONG\r\n"; done'`)

export const DEFAULT_IMAGE_TABLE: ImageTable = {
  alpine: { Cmd: ['/bin/sh'] },
  busybox: { Cmd: ['sh'] },
  debian: { Cmd: ['bash'] },
  ubuntu: { Cmd: ['bash'] },
  nginx: [
    { Cmd: ['nginx', '-g', 'daemon off;'], ExposedPorts: { '80/tcp': {} }, StopSignal: 'SIGQUIT' },
    { Entrypoint: ['busybox', 'sh', '-c'], Cmd: [WEB_STAND_IN], ExposedPorts: { '80/tcp': {} }, StopSignal: 'SIGQUIT' }
  ],
  redis: [
    { Cmd: ['redis-server'], ExposedPorts: { '6379/tcp': {} } },
    { Entrypoint: ['busybox', 'sh', '-c'], Cmd: [REDIS_STAND_IN], ExposedPorts: { '6379/tcp': {} } }
  ]
}

export class HostImage {
  private readonly table: ImageTable
  private readonly image: Image

  constructor(table: ImageTable, architecture: string) {
    // When the system was installed, as far as the file system tells.
    const { birthtimeMs, mtime, birthtime } = statSync('/')
    const created = (birthtimeMs > 0 ? birthtime : mtime).toISOString()
    this.table = table
    const config = { ...emptyConfig(), Env: [`PATH=${PATH}`] }
    // The same on every start: containers keep the id.
    const file = JSON.stringify({ architecture, config, os: 'linux', rootfs: { type: 'layers', diff_ids: [] }, netloom: 'host' })
    this.image = {
      id: `sha256:${createHash('sha256').update(file).digest('hex')}`,
      repoTags: [HOST_TAG],
      created,
      lastTagged: created,
      size: 0,
      config,
      layers: [],
      diffIds: [],
      layerSizes: [],
      isHost: true,
      comment: 'the root of the machine itself: containers of names that were never imported run on it',
      author: '',
      architecture,
      os: 'linux',
      dockerVersion: '',
      containerConfig: null,
      history: [{ created, created_by: "the host's root" }]
    }
  }

  get id(): string {
    return this.image.id
  }

  /** The image with what the table has for a name ('nginx', without tag). */
  named(name: string): Image {
    const entry = Object.hasOwn(this.table, name) ? this.table[name]! : {}
    const choices: readonly Settings[] = Array.isArray(entry) ? entry : [entry as Settings]
    const settings = choices.find(isInstalled) ?? choices[0] ?? {}
    return { ...this.image, config: { ...this.image.config, ...settings } }
  }
}

function isInstalled(settings: Settings): boolean {
  const program = (settings.Entrypoint ?? [])[0] ?? (settings.Cmd ?? [])[0]
  if (program === undefined) return true
  if (program.includes('/')) return isExecutable(program)
  return PATH.split(':').some((folder) => isExecutable(path.join(folder, program)))
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

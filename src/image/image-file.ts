/** An image's configuration file: the JSON whose hash is the image's id. Source: Docker image specification 1.2. */
import { createHash } from 'node:crypto'
import type { ImageHistory } from './image.ts'
import { emptyConfig, type ImageConfig } from './image-config.ts'
import { ImageError } from './image-error.ts'

export interface ImageFile {
  /** The bytes as they are hashed. */
  readonly text: string
  readonly id: string
  readonly created: string
  readonly config: ImageConfig
  readonly containerConfig: ImageConfig | null
  readonly diffIds: readonly string[]
  readonly comment: string
  readonly author: string
  readonly architecture: string
  readonly os: string
  readonly dockerVersion: string
  readonly history: readonly ImageHistory[]
}

const DIFF_ID = /^sha256:[a-f0-9]{64}$/
/** What Go prints for no time at all. */
const NO_TIME = '0001-01-01T00:00:00Z'

/** Reads a configuration file. ImageError 'failed' when it is none. */
export function readImageFile(text: string): ImageFile {
  const file = parse(text)
  const rootfs = file['rootfs']
  const diffIds: unknown = isObject(rootfs) ? (rootfs['diff_ids'] ?? []) : undefined
  if (!Array.isArray(diffIds) || diffIds.some((id) => typeof id !== 'string' || !DIFF_ID.test(id))) {
    throw new ImageError('failed', 'invalid image configuration: rootfs.diff_ids is no list of layers')
  }
  const history = file['history']
  return {
    text,
    id: `sha256:${createHash('sha256').update(text).digest('hex')}`,
    created: Number.isNaN(Date.parse(words(file['created']))) ? NO_TIME : words(file['created']),
    config: readConfig(file['config']) ?? emptyConfig(),
    containerConfig: readConfig(file['container_config']),
    diffIds,
    comment: words(file['comment']),
    author: words(file['author']),
    architecture: words(file['architecture']),
    os: words(file['os']) || 'linux',
    dockerVersion: words(file['docker_version']),
    history: Array.isArray(history) ? history.filter(isObject) : []
  }
}

/** The file of an image that `docker import` makes of one layer. */
export function importedImageFile(options: {
  config: ImageConfig
  diffId: string
  created: string
  comment: string
  architecture: string
  version: string
}): ImageFile {
  const { config, diffId, created, comment, architecture } = options
  return readImageFile(
    JSON.stringify({
      comment,
      created,
      container_config: emptyConfig(),
      docker_version: options.version,
      config,
      architecture,
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [diffId] },
      history: [{ created, comment }]
    })
  )
}

/** Go's name of this machine's kind of processor. */
export function architectureOf(nodeName: string): string {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' }
  return names[nodeName] ?? nodeName
}

/** Members of the wrong type are as good as absent: a file is made by other tools, and containers must not meet surprises. */
function readConfig(value: unknown): ImageConfig | null {
  if (!isObject(value)) return null
  const config: Record<string, unknown> = { ...emptyConfig() }
  for (const [name, isRight] of Object.entries(MEMBERS)) {
    if (value[name] !== undefined && value[name] !== null && isRight(value[name])) config[name] = value[name]
  }
  return config as unknown as ImageConfig
}

const isText = (value: unknown): boolean => typeof value === 'string'
const isFlag = (value: unknown): boolean => typeof value === 'boolean'
const isNumber = (value: unknown): boolean => typeof value === 'number'
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText)
const isLabels = (value: unknown): boolean => isObject(value) && Object.values(value).every(isText)
const isSet = (value: unknown): boolean => isObject(value) && Object.values(value).every(isObject)

const MEMBERS: Readonly<Record<keyof ImageConfig, (value: unknown) => boolean>> = {
  Hostname: isText,
  Domainname: isText,
  User: isText,
  AttachStdin: isFlag,
  AttachStdout: isFlag,
  AttachStderr: isFlag,
  ExposedPorts: isSet,
  Tty: isFlag,
  OpenStdin: isFlag,
  StdinOnce: isFlag,
  Env: isTexts,
  Cmd: isTexts,
  Healthcheck: isObject,
  ArgsEscaped: isFlag,
  Image: isText,
  Volumes: isSet,
  WorkingDir: isText,
  Entrypoint: isTexts,
  OnBuild: isTexts,
  Labels: isLabels,
  StopSignal: isText,
  StopTimeout: isNumber,
  Shell: isTexts
}

function parse(text: string): Record<string, unknown> {
  try {
    const file: unknown = JSON.parse(text)
    if (isObject(file)) return file
  } catch (error) {
    throw new ImageError('failed', `invalid image configuration: ${(error as Error).message}`, { cause: error })
  }
  throw new ImageError('failed', 'invalid image configuration: not an object')
}

function words(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Names of images as Docker reads and prints them: `busybox`, `team/app:1.2`, `registry.example:5000/app@sha256:...`.
 * The grammar is that of github.com/distribution/reference; "familiar" is the short form without docker.io/library/.
 */
import { ImageError } from './image-error.ts'

export interface ImageReference {
  /** Familiar: 'busybox', 'team/app', 'registry.example:5000/app'. */
  readonly name: string
  readonly tag: string | undefined
  /** 'sha256:...' */
  readonly digest: string | undefined
}

const DOMAIN = String.raw`(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*(?::[0-9]+)?)`
const COMPONENT = '[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*'
const GRAMMAR = new RegExp(
  String.raw`^((?:${DOMAIN}/)?${COMPONENT}(?:/${COMPONENT})*)(?::(\w[\w.-]{0,127}))?(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$`
)
const ID = /^[a-f0-9]{64}$/
const MAX_NAME_LENGTH = 255

/** ImageError 'invalid' with Docker's text. */
export function parseReference(text: string): ImageReference {
  if (ID.test(text)) {
    throw new ImageError('invalid', `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`)
  }
  const { domain, rest } = splitDomain(text)
  const remoteName = rest.replace(/[:@].*$/s, '')
  if (remoteName.toLowerCase() !== remoteName) {
    throw new ImageError('invalid', 'invalid reference format: repository name must be lowercase')
  }
  const match = GRAMMAR.exec(`${domain}/${rest}`)
  if (match === null) throw new ImageError('invalid', 'invalid reference format')
  const [, full, tag, digest] = match
  if (full!.length > MAX_NAME_LENGTH) {
    throw new ImageError('invalid', `repository name must not be more than ${MAX_NAME_LENGTH} characters`)
  }
  if (digest !== undefined && !/^sha256:[a-f0-9]{64}$/.test(digest)) throw new ImageError('invalid', 'invalid reference format')
  return { name: full!.replace(/^docker\.io\/(library\/)?/, (_all, library?: string) => familiarPrefix(full!, library)), tag, digest }
}

/** 'busybox:latest': the tag that a reference without a digest means. */
export function taggedName(reference: ImageReference): string {
  return `${reference.name}:${reference.tag ?? 'latest'}`
}

/** As Docker prints it in messages: with the tag that it means, or its digest. */
export function familiarText(reference: ImageReference): string {
  if (reference.digest === undefined) return taggedName(reference)
  return `${reference.name}${reference.tag === undefined ? '' : `:${reference.tag}`}@${reference.digest}`
}

/** Whether `text` is what identifies an image without a name: an id or its beginning, with or without 'sha256:'. */
export function isIdPrefix(text: string, id: string): boolean {
  const digits = text.startsWith('sha256:') ? text.slice('sha256:'.length) : text
  return digits !== '' && id.startsWith(`sha256:${digits}`)
}

/** The first part is a registry when it looks like a host: it has a dot or a port, or is localhost. */
function splitDomain(text: string): { domain: string; rest: string } {
  const slash = text.indexOf('/')
  const first = text.slice(0, Math.max(0, slash))
  if (slash === -1 || (!/[.:]/.test(first) && first !== 'localhost' && first.toLowerCase() === first)) {
    return { domain: 'docker.io', rest: slash === -1 ? `library/${text}` : text }
  }
  const domain = first === 'index.docker.io' ? 'docker.io' : first
  const rest = text.slice(slash + 1)
  return { domain, rest: domain === 'docker.io' && !rest.includes('/') ? `library/${rest}` : rest }
}

/** docker.io goes; library/ goes with it, unless what follows has a slash of its own. */
function familiarPrefix(full: string, library: string | undefined): string {
  if (library === undefined) return ''
  return full.slice('docker.io/library/'.length).includes('/') ? library : ''
}

import { ApiError } from '../../api/api-error.ts'
import type { ContainerLookup } from '../network/networked-container.ts'
import type { Container } from './container.ts'

/** Shortest prefix that the index answers without going through all ids. */
const INDEXED = 12

/** All containers of the daemon, found by id, name or prefix of an id. */
export class ContainerRegistry implements ContainerLookup {
  private readonly byId = new Map<string, Container>()
  private readonly byName = new Map<string, string>()
  private readonly byShortId = new Map<string, string[]>()

  get size(): number {
    return this.byId.size
  }

  all(): Iterable<Container> {
    return this.byId.values()
  }

  get(id: string): Container | undefined {
    return this.byId.get(id)
  }

  /** Whose name it is; also while that container is being made. */
  ownerOf(name: string): string | undefined {
    return this.byName.get(name)
  }

  /** Throws ApiError 409 with Docker's text when another container has the name. */
  reserve(name: string, id: string): void {
    const owner = this.byName.get(name)
    if (owner !== undefined && owner !== id) {
      throw ApiError.conflict(
        `Conflict. The container name "/${name}" is already in use by container "${owner}". ` +
          'You have to remove (or rename) that container to be able to reuse that name.'
      )
    }
    this.byName.set(name, id)
  }

  release(name: string, id: string): void {
    if (this.byName.get(name) === id) this.byName.delete(name)
  }

  add(container: Container): void {
    this.byId.set(container.id, container)
    const short = container.id.slice(0, INDEXED)
    this.byShortId.set(short, [...(this.byShortId.get(short) ?? []), container.id])
  }

  delete(container: Container): void {
    this.byId.delete(container.id)
    const short = container.id.slice(0, INDEXED)
    const left = (this.byShortId.get(short) ?? []).filter((id) => id !== container.id)
    if (left.length === 0) this.byShortId.delete(short)
    else this.byShortId.set(short, left)
    this.release(container.name, container.id)
  }

  /** By whole id, then name, then prefix of an id, as Docker. Throws ApiError 404, and 400 for a prefix of several. */
  find(reference: string): Container {
    const name = reference.startsWith('/') ? reference.slice(1) : reference
    const exact = this.byId.get(reference) ?? this.byId.get(this.byName.get(name) ?? '')
    if (exact !== undefined) return exact
    const ids = reference === '' ? [] : this.withPrefix(reference)
    if (ids.length > 1) throw ApiError.badRequest(`Multiple IDs found with provided prefix: ${reference}`)
    const found = this.byId.get(ids[0] ?? '')
    if (found === undefined) throw ApiError.notFound(`No such container: ${reference}`)
    return found
  }

  private withPrefix(prefix: string): string[] {
    const near = prefix.length < INDEXED ? [...this.byId.keys()] : (this.byShortId.get(prefix.slice(0, INDEXED)) ?? [])
    return near.filter((id) => id.startsWith(prefix))
  }
}

// The part of Consul's HTTP interface that ConsulStore uses, after its API documentation (KV, Txn, Session, blocking queries).
// A fake: Consul's server is in neither registry, so nothing here shows that the real one agrees.
import http from 'node:http'
import type { AddressInfo } from 'node:net'

interface Entry {
  value: string
  modifyIndex: number
  session: string | undefined
}

interface Operation {
  readonly Verb: string
  readonly Key: string
  readonly Value?: string
  readonly Index?: number
  readonly Session?: string
}

export class FakeConsul {
  /** Requests must carry it when it is set. */
  token: string | undefined
  /** A session ends after so many times its TTL: the documentation lets the real one take twice the time. */
  lateness = 2
  private readonly server: http.Server
  private readonly entries = new Map<string, Entry>()
  private readonly sessions = new Map<string, NodeJS.Timeout>()
  private waiting: (() => void)[] = []
  private index = 1
  private sessionCount = 0

  private constructor() {
    this.server = http.createServer((request, response) => {
      let body = ''
      request.on('data', (data) => (body += data))
      request.on('end', () => {
        if (this.token !== undefined && request.headers['x-consul-token'] !== this.token)
          return response.writeHead(403).end('Permission denied')
        void this.answer(request.method!, new URL(request.url!, 'http://consul'), body, response)
      })
    })
  }

  static async start(): Promise<FakeConsul> {
    const consul = new FakeConsul()
    await new Promise<void>((resolve) => consul.server.listen(0, '127.0.0.1', resolve))
    return consul
  }

  get url(): string {
    return `consul://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    for (const timer of this.sessions.values()) clearTimeout(timer)
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private async answer(method: string, url: URL, body: string, response: http.ServerResponse): Promise<void> {
    const send = (status: number, value: unknown): void => {
      response.writeHead(status, { 'X-Consul-Index': String(this.index) }).end(JSON.stringify(value))
    }
    const [, , kind, ...rest] = url.pathname.split('/')
    if (kind === 'kv' && method === 'GET') {
      const after = Number(url.searchParams.get('index') ?? 0)
      if (after > 0 && this.index <= after) await this.change(Number.parseInt(url.searchParams.get('wait')!, 10) * 1000)
      const key = decodeURI(rest.join('/'))
      const isWanted = (each: string): boolean => (url.searchParams.has('recurse') ? each.startsWith(key) : each === key)
      const found = [...this.entries].filter(([each]) => isWanted(each))
      return send(found.length > 0 ? 200 : 404, found.map(shown))
    }
    if (kind === 'txn') {
      const operations = (JSON.parse(body) as { KV: Operation }[]).map(({ KV }) => KV)
      const errors = this.commit(operations)
      if (errors.length > 0) return send(409, { Results: null, Errors: errors })
      const keys = new Set(operations.filter(({ Verb }) => Verb === 'set' || Verb === 'lock').map(({ Key }) => Key))
      return send(200, { Results: [...this.entries].filter(([key]) => keys.has(key)).map((entry) => ({ KV: shown(entry) })), Errors: null })
    }
    if (kind === 'session') return this.session(rest[0], rest[1], body, send)
    send(404, null)
  }

  private session(verb: string, id: string, body: string, send: (status: number, value: unknown) => void): void {
    if (verb === 'create') {
      const seconds = Number.parseInt((JSON.parse(body) as { TTL: string }).TTL, 10)
      if (seconds < 10) return send(400, 'Invalid Session TTL')
      const ID = `session-${++this.sessionCount}`
      this.renew(ID, seconds)
      return send(200, { ID })
    }
    if (verb === 'destroy') this.destroy(id)
    else if (!this.sessions.has(id)) return send(404, null)
    else this.renew(id, 10)
    send(200, true)
  }

  private renew(id: string, seconds: number): void {
    clearTimeout(this.sessions.get(id))
    this.sessions.set(
      id,
      setTimeout(() => this.destroy(id), this.lateness * seconds * 1000)
    )
  }

  /** With the behaviour "delete": what it holds goes. */
  private destroy(id: string): void {
    clearTimeout(this.sessions.get(id))
    this.sessions.delete(id)
    for (const [key, { session }] of this.entries) if (session === id) this.entries.delete(key)
    this.bump()
  }

  private commit(operations: readonly Operation[]): { OpIndex: number; What: string }[] {
    const before = new Map(this.entries)
    const errors: { OpIndex: number; What: string }[] = []
    for (const [OpIndex, operation] of operations.entries()) {
      const What = this.apply(operation)
      if (What !== undefined) errors.push({ OpIndex, What })
    }
    if (errors.length > 0) {
      this.entries.clear()
      for (const [key, entry] of before) this.entries.set(key, entry)
    } else this.bump()
    return errors
  }

  private apply({ Verb, Key, Value = '', Index, Session }: Operation): string | undefined {
    const entry = this.entries.get(Key)
    const modifyIndex = this.index + 1
    switch (Verb) {
      case 'check-not-exists':
        return entry === undefined ? undefined : `key "${Key}" exists`
      case 'check-index':
        return entry?.modifyIndex === Index ? undefined : `current modify index of "${Key}" is not ${Index}`
      case 'delete':
        this.entries.delete(Key)
        return undefined
      case 'set':
        // As the real one: nothing changes with an equal value, and who holds the key goes on holding it.
        if (entry?.value !== Value) this.entries.set(Key, { value: Value, modifyIndex, session: entry?.session })
        return undefined
      case 'lock':
        if (!this.sessions.has(Session!)) return `invalid session "${Session}"`
        if (entry?.session !== undefined && entry.session !== Session) return `failed to lock key "${Key}", lock is already held`
        this.entries.set(Key, { value: Value, modifyIndex, session: Session })
        return undefined
      default:
        return `unknown verb ${Verb}`
    }
  }

  private bump(): void {
    this.index++
    const { waiting } = this
    this.waiting = []
    for (const wake of waiting) wake()
  }

  private change(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, limitMs)
      this.waiting.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}

function shown([Key, { value, modifyIndex, session }]: [string, Entry]): Record<string, unknown> {
  return { Key, Value: value === '' ? null : value, ModifyIndex: modifyIndex, Flags: 0, ...(session !== undefined && { Session: session }) }
}

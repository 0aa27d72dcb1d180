/**
 * Keys as nodes, and the requests that the store makes of them.
 *
 * A folder's name ends in `!`, which no key has: `live/hosts/h1` is /PREFIX/live!/hosts!/h1. So a key may begin with another one
 * and a `/`, and a folder is never taken for an entry.
 */
import { type JuteReader, JuteWriter } from './jute.ts'
import { ZooKeeperError, ZooKeeperFailure, ZooKeeperOp } from './zookeeper-connection.ts'

/** What the store needs of a node's Stat. */
export interface NodeStat {
  /** Of the last change of its data. */
  readonly mzxid: number
  readonly version: number
  readonly isEphemeral: boolean
}

/** One part of a multi. */
export interface Operation {
  readonly type: number
  readonly body: JuteWriter
}

/** Node flags (CreateMode). */
const CreateFlag = { persistent: 0, ephemeral: 1, container: 4 } as const
const ALL_PERMISSIONS = 31

export class ZooKeeperNodes {
  readonly root: string
  /** Counts commits; see ZooKeeperStore. */
  readonly revision: string
  private readonly acl: JuteWriter

  /** `isOwned`: only who has our name and password may use the nodes. */
  constructor(prefix: string, isOwned: boolean) {
    this.root = `/${prefix}`
    this.revision = `${this.root}/!revision`
    this.acl = new JuteWriter().int(1).int(ALL_PERMISSIONS)
    if (isOwned) this.acl.text('auth').text('')
    else this.acl.text('world').text('anyone')
  }

  pathOf(key: string): string {
    return `${this.root}/${key.replaceAll('/', '!/')}`
  }

  /** Of a prefix that ends in `/`, the node whose children begin with it. */
  folderOf(prefix: string): string {
    return this.pathOf(prefix).slice(0, -1)
  }

  /** undefined: a folder. */
  keyOf(path: string): string | undefined {
    return path.endsWith('!') || !path.startsWith(`${this.root}/`) ? undefined : path.slice(this.root.length + 1).replaceAll('!/', '/')
  }

  /** From the top down. */
  parentsOf(path: string): string[] {
    const parents: string[] = []
    for (let slash = path.indexOf('/', 1); slash > 0; slash = path.indexOf('/', slash + 1)) parents.push(path.slice(0, slash))
    return parents
  }

  create(path: string, data: string, isEphemeral: boolean): Operation {
    return { type: ZooKeeperOp.create, body: this.createBody(path, data, isEphemeral ? CreateFlag.ephemeral : CreateFlag.persistent) }
  }

  /** A folder below the root goes by itself when it has been empty for a while. */
  createFolder(path: string): Operation {
    const isContainer = path.startsWith(`${this.root}/`)
    const flag = isContainer ? CreateFlag.container : CreateFlag.persistent
    return { type: isContainer ? ZooKeeperOp.createContainer : ZooKeeperOp.create, body: this.createBody(path, '', flag) }
  }

  private createBody(path: string, data: string, flag: number): JuteWriter {
    return new JuteWriter().text(path).text(data).add(this.acl.toBuffer()).int(flag)
  }
}

export function setData(path: string, data: string, version: number): Operation {
  return { type: ZooKeeperOp.setData, body: new JuteWriter().text(path).text(data).int(version) }
}

export function removeNode(path: string, version: number): Operation {
  return { type: ZooKeeperOp.remove, body: new JuteWriter().text(path).int(version) }
}

export function checkNode(path: string, version: number): Operation {
  return { type: ZooKeeperOp.check, body: new JuteWriter().text(path).int(version) }
}

/** Each operation behind a header of its type; the last header says that it was the last. */
export function multiBody(operations: readonly Operation[]): JuteWriter {
  const body = new JuteWriter()
  for (const { type, body: each } of operations) body.int(type).bool(false).int(-1).add(each.toBuffer())
  return body.int(-1).bool(true).int(-1)
}

/** Throws the first refusal of a multi. */
export function checkMulti(body: JuteReader): void {
  for (;;) {
    const type = body.int()
    const isDone = body.bool()
    const code = body.int()
    if (isDone) return
    if (type === -1) {
      // All but one are told "rolled back" (0) or "not reached" (-2, runtime inconsistency).
      const own = body.int() || code
      if (own !== 0 && own !== -2) throw new ZooKeeperError(own)
    } else if (type === ZooKeeperOp.create || type === ZooKeeperOp.createContainer) body.text()
    else if (type === ZooKeeperOp.setData) readStat(body)
  }
}

/** Stat: czxid mzxid ctime mtime, version cversion aversion, ephemeralOwner, dataLength numChildren, pzxid. */
export function readStat(body: JuteReader): NodeStat {
  body.long()
  const mzxid = Number(body.long())
  body.long()
  body.long()
  const version = body.int()
  body.int()
  body.int()
  const isEphemeral = body.long() !== 0n
  body.int()
  body.int()
  body.long()
  return { mzxid, version, isEphemeral }
}

export function isNoNode(error: unknown): boolean {
  return error instanceof ZooKeeperError && error.code === ZooKeeperFailure.noNode
}

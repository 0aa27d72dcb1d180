import { ChangeWatch } from '../../../io/netlink/change-watch.ts'
import { NetlinkError } from '../../../io/netlink/netlink-error.ts'
import type { NftablesBatch, Table } from '../../../io/netlink/nftables/batch.ts'
import type { HostNamespace } from './host-namespace.ts'

export interface KeptTableOptions {
  readonly host: Pick<HostNamespace, 'native' | 'fd' | 'nftables'>
  readonly table: Table
  /** Makes the table and all that is to be in it now. */
  readonly contents: () => NftablesBatch
  /** For what nobody asked for but an operator should read. */
  readonly log: (message: string) => void
  /** What else of it is worth saying when it is there again: `, with the 3 ports in it`. */
  readonly detail?: () => string
  /** Something of nf_tables changed, perhaps not of our table. */
  readonly othersChanged?: () => Promise<void>
}

/**
 * A table of nf_tables that is ours and stays in the kernel. Whoever loads a firewall of their own begins with `nft flush ruleset`, which
 * takes ours away too: it is put there again, with all that was in it.
 *
 * Changes and repairs run one after the other: a repair puts in what was wanted when it began.
 */
export class KeptTable {
  private readonly options: KeptTableOptions
  private readonly words: string
  private watch: ChangeWatch | null = null
  private line: Promise<unknown> = Promise.resolve()
  private isLookLined = false
  private isOpen = true
  private lastError = ''

  constructor(options: KeptTableOptions) {
    this.options = options
    this.words = `the table ${options.table.family} ${options.table.name}`
  }

  /** `make` puts the table there for the first time. Rejects with its errors, or NetlinkError; nobody watches then. */
  async open(make: () => Promise<void>): Promise<void> {
    const { native, fd } = this.options.host
    // First of all: what happens to the table as soon as it is there is heard of.
    this.watch = ChangeWatch.ofNftables(native, fd, () => this.look())
    try {
      await this.inLine(make)
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** `work` when everything before it is done. */
  async inLine<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.line.then(work)
    this.line = done.catch(() => {}) // who asked for it is told
    return done
  }

  /** In line: `batch`, once more when the table had gone. Throws NetlinkError. */
  async commit(batch: () => NftablesBatch): Promise<void> {
    if (await this.isDone(batch())) return
    await this.repair()
    await this.options.host.nftables.commit(batch())
  }

  /** In line. false: something that `batch` names is not there, and nothing was changed. Throws NetlinkError. */
  async isDone(batch: NftablesBatch): Promise<boolean> {
    try {
      await this.options.host.nftables.commit(batch)
      return true
    } catch (error) {
      if (error instanceof NetlinkError && error.code === 'ENOENT') return false
      throw error
    }
  }

  /** The table stays: whoever noted it in a journal takes it away. Resolves when nothing of ours is on its way to the kernel. */
  async close(): Promise<void> {
    this.isOpen = false
    this.watch?.close()
    await this.line
  }

  /** Something of nf_tables changed: was it our table? Our own changes are told too. */
  private look(): void {
    if (this.isLookLined) return
    this.isLookLined = true
    this.inLine(async () => {
      this.isLookLined = false
      if (!this.isOpen) return
      await this.repair()
      await this.options.othersChanged?.()
      this.lastError = ''
    }).catch((error: Error) => this.tell(error))
  }

  /** Once for as long as it is the same. */
  private tell({ message }: Error): void {
    if (message === this.lastError) return
    this.lastError = message
    this.options.log(`whether ${this.words} is still there, and who else filters, cannot be found out: ${message}`)
  }

  private async repair(): Promise<void> {
    const { host, table, contents, log, detail } = this.options
    const tables = await host.nftables.tables()
    if (tables.some(({ family, name }) => family === table.family && name === table.name)) return
    await host.nftables.commit(contents())
    log(`somebody took ${this.words} away (nft flush ruleset?); it is there again${detail?.() ?? ''}`)
  }
}

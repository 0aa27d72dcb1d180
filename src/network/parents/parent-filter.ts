/**
 * Keeps the machine's kernel from packets for children of ipvlan: they come under the machine's own MAC, and a machine that forwards
 * would send them out again, and tell their senders that there is nobody.
 *
 *   table inet netloom-parents-HASH {
 *     chain prerouting { type filter, priority raw: iifname PARENT, daddr in SUBNET, not one of the machine's own: drop }
 *   }
 *
 * The packet socket has a frame before the chain has. Noted in a journal before it is made, so that the next daemon finds it. HASH is of the
 * state directory: daemons of one namespace have a table each. A table that somebody flushes is there again (KeptTable).
 */
import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { NftablesBatch, type Table } from '../../io/netlink/nftables/batch.ts'
import { verdict } from '../../io/netlink/nftables/expressions.ts'
import { address, interfaceName, notForThisMachine } from '../../io/netlink/nftables/match.ts'
import { Priority } from '../../io/netlink/nftables/nf-tables.ts'
import { HostJournal } from '../uplinks/host/host-journal.ts'
import type { HostNamespace } from '../uplinks/host/host-namespace.ts'
import { KeptTable } from '../uplinks/host/kept-table.ts'

/** What the names of the tables begin with. */
export const PARENT_TABLE_PREFIX = 'netloom-parents-'
/** The file in a state directory. */
export const PARENT_JOURNAL = 'host-parents.json'

/** Hexadecimal digits of SHA-256. */
const HASH_DIGITS = 12
const CHAIN = 'prerouting'

interface Hidden {
  readonly parent: string
  readonly subnets: readonly string[]
}

/** The table of the daemon that has this state directory, however its path is written. Throws the system's errors when there is none. */
export function parentTable(stateDirectory: string): Table & { readonly family: 'inet' } {
  const hash = createHash('sha256').update(realpathSync(stateDirectory)).digest('hex').slice(0, HASH_DIGITS)
  return { family: 'inet', name: `${PARENT_TABLE_PREFIX}${hash}` }
}

export class ParentFilter {
  private readonly host: HostNamespace
  private readonly directory: string
  private readonly log: (message: string) => void
  private journal: HostJournal | null = null
  /** While anything is hidden. */
  private kept: KeptTable | null = null
  private line: Promise<unknown> = Promise.resolve()
  /** By network id. */
  private readonly hidden = new Map<string, Hidden>()

  /** `log`: for what nobody asked for but an operator should read. */
  constructor(host: HostNamespace, directory: string, log: (message: string) => void) {
    this.host = host
    this.directory = directory
    this.log = log
  }

  /** What an earlier daemon left. */
  async removeLeft(): Promise<void> {
    if (this.open().changes.length > 0) await this.removeTable()
  }

  async add(network: string, parent: string, subnets: readonly string[]): Promise<void> {
    this.hidden.set(network, { parent, subnets })
    try {
      await this.inLine(() => this.apply())
    } catch (error) {
      this.hidden.delete(network)
      throw error
    }
  }

  async remove(network: string): Promise<void> {
    if (this.hidden.delete(network)) await this.inLine(() => this.apply())
  }

  async removeAll(): Promise<void> {
    this.hidden.clear()
    await this.inLine(() => this.apply())
  }

  /** Networks that come and go at the same time change the table one after the other. */
  private inLine(work: () => Promise<void>): Promise<void> {
    const done = this.line.then(work)
    this.line = done.catch(() => {}) // who asked for it is told
    return done
  }

  /** What is hidden now. */
  private async apply(): Promise<void> {
    const { host, log } = this
    if (this.hidden.size === 0) {
      await this.kept?.close()
      this.kept = null
      if (this.journal !== null && this.journal.changes.length > 0) await this.removeTable()
      return
    }
    if (this.kept !== null) return this.kept.inLine(() => this.commit())
    const table = parentTable(this.directory)
    this.kept = new KeptTable({ host, table, contents: () => this.contents(), log })
    try {
      await this.kept.open(() => this.commit())
    } catch (error) {
      this.kept = null
      throw error
    }
  }

  private async commit(): Promise<void> {
    const journal = this.open()
    const table = parentTable(this.directory)
    const isListed = journal.changes.some((change) => change.kind === 'nftables' && change.name === table.name)
    if (!isListed) journal.add({ kind: 'nftables', ...table })
    await this.host.nftables.commit(this.contents())
  }

  /** The whole table anew, at once. */
  private contents(): NftablesBatch {
    const table = parentTable(this.directory)
    const batch = new NftablesBatch().deleteTable(table).addTable(table)
    batch.addChain(table, CHAIN, { type: 'filter', hook: 'prerouting', priority: Priority.raw })
    for (const { parent, subnets } of this.hidden.values()) {
      for (const subnet of subnets) {
        const matches = [interfaceName('iifname', '==', parent), address('daddr', '==', subnet), notForThisMachine()]
        batch.addRule(table, CHAIN, ...matches, [verdict('drop')])
      }
    }
    return batch
  }

  /** Tables that the journal lists: that of a state directory which was moved has another name. */
  private async removeTable(): Promise<void> {
    const journal = this.open()
    for (const change of journal.changes) {
      if (change.kind === 'nftables') await this.host.nftables.commit(new NftablesBatch().deleteTable(change))
      journal.remove(change)
    }
  }

  private open(): HostJournal {
    this.journal ??= HostJournal.open(this.directory, this.host.id, PARENT_JOURNAL)
    return this.journal
  }
}

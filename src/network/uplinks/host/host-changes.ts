/** Makes changes on the host and puts them back, each noted in the journal before. */

import { NetlinkError } from '../../../io/netlink/netlink-error.ts'
import { NftablesBatch } from '../../../io/netlink/nftables/batch.ts'
import type { HostChange, HostJournal } from './host-journal.ts'
import type { HostNamespace } from './host-namespace.ts'
import { FILTER_TABLE, ROUTING_TABLE, RULE_PRIORITY } from './host-settings.ts'

export class HostChanges {
  private readonly host: HostNamespace
  private readonly journal: HostJournal

  constructor(host: HostNamespace, journal: HostJournal) {
    this.host = host
    this.journal = journal
  }

  /** Sets it unless it has the value; false: it had, or this kernel has no such setting. */
  setSysctl(name: string, set: string): boolean {
    const was = this.host.sysctl(name)
    if (was === null || was === set) return false
    this.journal.add({ kind: 'sysctl', name, was, set })
    this.host.setSysctl(name, set)
    return true
  }

  /** Everything that is not made on this machine asks our table first. */
  async addRule(family: 4 | 6): Promise<void> {
    this.journal.add({ kind: 'rule', family, priority: RULE_PRIORITY, table: ROUTING_TABLE })
    await this.host.netlink.rules.add(ruleOf(family, RULE_PRIORITY, ROUTING_TABLE))
  }

  /** Of those that `addRule` made; true: it had gone, and is there again. */
  async restoreRule(family: 4 | 6): Promise<boolean> {
    const { rules } = this.host.netlink
    if ((await rules.list(family)).some(isOurs)) return false
    await rules.add(ruleOf(family, RULE_PRIORITY, ROUTING_TABLE))
    return true
  }

  /** `batch` makes the table and all that is in it. */
  async addTable(batch: NftablesBatch): Promise<void> {
    this.journal.add({ kind: 'nftables', ...FILTER_TABLE })
    await this.host.nftables.commit(batch)
  }

  /** Puts everything back, the latest change first. What cannot be put back stays listed, and is what the errors are about. */
  async undoAll(): Promise<Error[]> {
    const errors: Error[] = []
    for (const change of this.journal.changes.toReversed()) {
      try {
        await this.undo(change)
        this.journal.remove(change)
      } catch (error) {
        errors.push(error as Error)
      }
    }
    return errors
  }

  /** What bears our numbers and names but no journal lists: of a daemon whose state directory is gone. */
  async removeStrays(): Promise<void> {
    const { netlink, nftables, hasIpv6 } = this.host
    await nftables.commit(new NftablesBatch().deleteTable(FILTER_TABLE))
    for (const family of hasIpv6 ? ([4, 6] as const) : ([4] as const)) {
      const rules = await netlink.rules.list(family)
      const ours = rules.filter(isOurs)
      for (const _ of ours) await netlink.rules.delete(ruleOf(family, RULE_PRIORITY, ROUTING_TABLE))
    }
  }

  private async undo(change: HostChange): Promise<void> {
    const { host } = this
    if (change.kind === 'sysctl') {
      // Somebody else's later decision stays.
      if (host.sysctl(change.name) === change.set) host.setSysctl(change.name, change.was)
    } else if (change.kind === 'nftables') {
      await host.nftables.commit(new NftablesBatch().deleteTable(change))
    } else {
      await unlessGone(host.netlink.rules.delete(ruleOf(change.family, change.priority, change.table)))
    }
  }
}

function isOurs({ table, priority }: { readonly table: number; readonly priority: number }): boolean {
  return table === ROUTING_TABLE && priority === RULE_PRIORITY
}

function ruleOf(family: 4 | 6, priority: number, table: number) {
  return { family, priority, table, inputInterface: 'lo', not: true }
}

async function unlessGone(removal: Promise<void>): Promise<void> {
  try {
    await removal
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.code !== 'ENOENT') throw error
  }
}

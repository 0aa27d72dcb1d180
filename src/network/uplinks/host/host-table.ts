import { ChangeWatch } from '../../../io/netlink/change-watch.ts'
import { NetlinkError } from '../../../io/netlink/netlink-error.ts'
import type { NftablesBatch } from '../../../io/netlink/nftables/batch.ts'
import type { UplinkPort } from '../../uplink.ts'
import type { HostChanges } from './host-changes.ts'
import { addPorts, deletePorts, dropOtherForwarding, filterTable } from './host-filter.ts'
import type { HostNamespace } from './host-namespace.ts'
import { FILTER_TABLE } from './host-settings.ts'

/**
 * Our table as it is in the kernel. Whoever loads a firewall of their own begins with `nft flush ruleset`, which takes ours away too:
 * it is put there again, with all that was in it.
 *
 * Changes and repairs run one after the other: a repair puts in what was published when it began.
 */
export class HostTable {
  private readonly host: HostNamespace
  private readonly log: (message: string) => void
  private readonly othersChanged: () => Promise<void>
  private readonly ports = new Map<string, UplinkPort>()
  /** Families whose forwarding we switched on. */
  private readonly closedFamilies = new Set<4 | 6>()
  private routerAddress = ''
  private watch: ChangeWatch | null = null
  private line: Promise<unknown> = Promise.resolve()
  private isLookLined = false
  private isOpen = true

  /** `othersChanged`: something of nf_tables did, not only of our own table. */
  constructor(host: HostNamespace, log: (message: string) => void, othersChanged: () => Promise<void>) {
    this.host = host
    this.log = log
    this.othersChanged = othersChanged
  }

  /** Throws NetlinkError. */
  async open(changes: HostChanges, routerAddress: string): Promise<void> {
    this.routerAddress = routerAddress
    await changes.addTable(filterTable(routerAddress))
    this.watch = ChangeWatch.ofNftables(this.host.native, this.host.fd, () => this.look())
  }

  /** Before forwarding of a family is switched on. */
  async dropOtherForwarding(family: 4 | 6): Promise<void> {
    await this.inLine(() => this.commit(() => dropOtherForwarding(family)))
    this.closedFamilies.add(family)
  }

  async addPorts(ports: readonly UplinkPort[]): Promise<void> {
    await this.inLine(async () => {
      await this.commit(() => addPorts(ports))
      for (const port of ports) this.ports.set(port.key, port)
    })
  }

  /** Those that are not there any more are no error: what counts is that none stays, since its target may be somebody else's next. */
  async deletePorts(ports: readonly UplinkPort[]): Promise<void> {
    await this.inLine(async () => {
      for (const { key } of ports) this.ports.delete(key)
      if (await this.isDone(deletePorts(ports))) return
      for (const port of ports) await this.isDone(deletePorts([port]))
    })
  }

  /** The table stays: HostChanges takes it away. Resolves when nothing of ours is on its way to the kernel. */
  async close(): Promise<void> {
    this.isOpen = false
    this.watch?.close()
    await this.line
  }

  private inLine(work: () => Promise<void>): Promise<void> {
    const done = this.line.then(work)
    this.line = done.catch(() => {}) // who asked for it is told
    return done
  }

  /** Something of nf_tables changed: was it our table? Our own changes are told too. */
  private look(): void {
    if (this.isLookLined) return
    this.isLookLined = true
    this.inLine(async () => {
      this.isLookLined = false
      if (!this.isOpen) return
      await this.repair()
      await this.othersChanged()
    }).catch((error: Error) => this.log(`whether ${words} is still there, and who else filters, cannot be found out: ${error.message}`))
  }

  /** `batch` once more when the table had gone. */
  private async commit(batch: () => NftablesBatch): Promise<void> {
    if (await this.isDone(batch())) return
    await this.repair()
    await this.host.nftables.commit(batch())
  }

  /** false: something that it names is not there, and nothing was changed. */
  private async isDone(batch: NftablesBatch): Promise<boolean> {
    try {
      await this.host.nftables.commit(batch)
      return true
    } catch (error) {
      if (error instanceof NetlinkError && error.code === 'ENOENT') return false
      throw error
    }
  }

  private async repair(): Promise<void> {
    const { nftables } = this.host
    const { family, name } = FILTER_TABLE
    if ((await nftables.tables()).some((table) => table.family === family && table.name === name)) return
    await nftables.commit(filterTable(this.routerAddress))
    for (const closed of this.closedFamilies) await nftables.commit(dropOtherForwarding(closed))
    await nftables.commit(addPorts([...this.ports.values()]))
    this.log(`somebody took ${words} away (nft flush ruleset?); it is there again, with the ${this.ports.size} ports in it`)
  }
}

const words = `the table ${FILTER_TABLE.family} ${FILTER_TABLE.name}`

import type { UplinkPort } from '../../uplink.ts'
import type { HostChanges } from './host-changes.ts'
import { addPorts, deletePorts, dropOtherForwarding, filterTable } from './host-filter.ts'
import type { HostNamespace } from './host-namespace.ts'
import { FILTER_TABLE } from './host-settings.ts'
import { KeptTable } from './kept-table.ts'

/** Our table, and what is in it: the ports, and the families whose forwarding is for ours alone. */
export class HostTable {
  private readonly kept: KeptTable
  private readonly ports = new Map<string, UplinkPort>()
  /** Families whose forwarding we switched on. */
  private readonly closedFamilies = new Set<4 | 6>()
  private routerAddress = ''

  /** `othersChanged`: something of nf_tables did, not only of our own table. */
  constructor(host: HostNamespace, log: (message: string) => void, othersChanged: () => Promise<void>) {
    const contents = () => filterTable(this.routerAddress, { closedFamilies: this.closedFamilies, ports: [...this.ports.values()] })
    const detail = () => `, with the ${this.ports.size} ports in it`
    this.kept = new KeptTable({ host, table: FILTER_TABLE, contents, log, detail, othersChanged })
  }

  /** Throws NetlinkError. */
  async open(changes: HostChanges, routerAddress: string): Promise<void> {
    this.routerAddress = routerAddress
    await this.kept.open(() => changes.addTable(filterTable(routerAddress)))
  }

  /** Before forwarding of a family is switched on. */
  async dropOtherForwarding(family: 4 | 6): Promise<void> {
    await this.kept.inLine(async () => {
      await this.kept.commit(() => dropOtherForwarding(family))
      this.closedFamilies.add(family)
    })
  }

  async addPorts(ports: readonly UplinkPort[]): Promise<void> {
    await this.kept.inLine(async () => {
      await this.kept.commit(() => addPorts(ports))
      for (const port of ports) this.ports.set(port.key, port)
    })
  }

  /** Those that are not there any more are no error: what counts is that none stays, since its target may be somebody else's next. */
  async deletePorts(ports: readonly UplinkPort[]): Promise<void> {
    await this.kept.inLine(async () => {
      for (const { key } of ports) this.ports.delete(key)
      if (await this.kept.isDone(deletePorts(ports))) return
      for (const port of ports) await this.kept.isDone(deletePorts([port]))
    })
  }

  /** The table stays: HostChanges takes it away. Resolves when nothing of ours is on its way to the kernel. */
  close(): Promise<void> {
    return this.kept.close()
  }
}

/**
 * The children of a parent: MAC to port, and the ports in order.
 */
import { formatMac, type Mac } from '../../wire/address.ts'
import { Fdb, type FdbEntry } from '../bridge/fdb.ts'
import { type MacvlanChange, MacvlanOptionError, type MacvlanSettings, readChildren } from './macvlan-options.ts'

export class Children {
  /** MAC to port, static entries only. */
  readonly table = new Fdb(0, 0)
  /** Ports of children, ascending. */
  ports = new Int32Array(0)
  private readonly macs = new Map<number, Mac>()

  /** The one that gets everything in mode passthru; -1 when there is none. */
  get first(): number {
    return this.ports.length > 0 ? this.ports[0] : -1
  }

  /** Throws MacvlanOptionError, and then nothing has changed. Returns the change that undoes this one. */
  update(change: MacvlanChange, settings: MacvlanSettings): MacvlanChange {
    const changes = readChildren(change)
    const after = new Map(this.macs)
    for (const [port, mac] of changes) {
      if (mac === null) after.delete(port)
      else after.set(port, mac)
    }
    check(after, settings)
    const before = Object.fromEntries([...changes.keys()].map((port) => [port, textOf(this.macs.get(port))]))
    for (const port of changes.keys()) {
      const old = this.macs.get(port)
      if (old !== undefined) this.table.remove(old.hi, old.lo)
      this.macs.delete(port)
    }
    for (const [port, mac] of changes) {
      if (mac === null) continue
      this.table.addStatic(mac.hi, mac.lo, port)
      this.macs.set(port, mac)
    }
    this.ports = Int32Array.from(this.macs.keys()).sort()
    return { children: before }
  }

  /** Throws MacvlanOptionError when the children could not be what they are under these settings. */
  check(settings: MacvlanSettings): void {
    check(this.macs, settings)
  }

  entries(): FdbEntry[] {
    return this.table.entries(0)
  }
}

/** macvlan_common_newlink and macvlan_addr_busy (drivers/net/macvlan.c): one child in passthru, no address twice. */
function check(macs: ReadonlyMap<number, Mac>, { mode, mac: parent }: MacvlanSettings): void {
  if (mode === 'passthru' && macs.size > 1)
    throw new MacvlanOptionError(`mode is passthru: the parent has room for one child, not ${macs.size}`)
  const seen = new Map<string, number>()
  for (const [port, mac] of macs) {
    const text = formatMac(mac)
    const other = seen.get(text)
    if (other !== undefined) throw new MacvlanOptionError(`children.${port}: port ${other} has the address ${text} already`)
    if (mode !== 'passthru' && parent !== null && text === formatMac(parent)) {
      throw new MacvlanOptionError(`children.${port}: ${text} is the parent's own address`)
    }
    seen.set(text, port)
  }
}

function textOf(mac: Mac | undefined): string | null {
  return mac === undefined ? null : formatMac(mac)
}

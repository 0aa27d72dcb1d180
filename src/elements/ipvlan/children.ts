/**
 * The children of a parent: IP address to port, and the ports in order.
 */
import { AddressTable, NO_CHILD } from './address-table.ts'
import { type AddressWords, type IpvlanChange, IpvlanOptionError, readAddress, readChildren } from './ipvlan-options.ts'

interface Child {
  readonly texts: readonly string[]
  readonly addresses: readonly AddressWords[]
}

export class Children {
  table = new AddressTable([])
  /** Ports of children, ascending. */
  ports = new Int32Array(0)
  private readonly byPort = new Map<number, Child>()

  /** Throws IpvlanOptionError, and then nothing has changed. Returns the change that undoes this one. */
  update(change: IpvlanChange): IpvlanChange {
    const changes = readChildren(change)
    const after = new Map(this.byPort)
    for (const [port, addresses] of changes) {
      if (addresses === null) after.delete(port)
      else after.set(port, { addresses, texts: change.children![port]! })
    }
    checkAddresses(after)
    const before = Object.fromEntries([...changes.keys()].map((port) => [port, this.byPort.get(port)?.texts ?? null]))
    for (const port of changes.keys()) {
      const child = after.get(port)
      if (child === undefined) this.byPort.delete(port)
      else this.byPort.set(port, child)
    }
    const entries = [...this.byPort].flatMap(([port, { addresses }]) => addresses.map((address) => [address, port] as const))
    this.table = new AddressTable(entries)
    this.ports = Int32Array.from(this.byPort.keys()).sort()
    return { children: before }
  }

  /** Whose address it is; NO_CHILD also for what is no address. */
  find(address: string): number {
    try {
      return this.table.lookup(...readAddress('address', address))
    } catch {
      return NO_CHILD
    }
  }
}

/** ipvlan_addr4_validator_event: an address that another child has is refused. */
function checkAddresses(children: ReadonlyMap<number, Child>): void {
  const owners = new Map<string, number>()
  for (const [port, { addresses, texts }] of children) {
    for (const [index, words] of addresses.entries()) {
      const other = owners.get(words.join())
      if (other !== undefined) throw new IpvlanOptionError(`children.${port}: port ${other} has the address ${texts[index]} already`)
      owners.set(words.join(), port)
    }
  }
}

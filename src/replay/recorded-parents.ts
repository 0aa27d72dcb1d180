/**
 * Parents of macvlan and ipvlan networks, as a recording has them: what came in by such an interface comes in again, and what goes out by it
 * ends, and is compared.
 *
 *   parent/eth0 (replay) -- 0 | parent/eth0/trunk | 1, 31 -- macvlan, ipvlan
 */
import { TrunkPort, vlanPort } from '../elements/vlan/vlan-trunk.ts'
import type { CaptureWire } from '../network/capture-point.ts'
import { NetworkError } from '../network/network-error.ts'
import { parseParentWords } from '../network/parents/parent-words.ts'
import { type Parent, type ParentInterfaces, parseVlanParent } from '../network/parents.ts'
import type { RecordedPort } from './recording.ts'

export class RecordedParents implements ParentInterfaces {
  readonly reserved = ['parent']
  /** By name of the interface. */
  private readonly ports: ReadonlyMap<string, RecordedPort>
  private readonly startNs: number

  /**
   * @param ports of the recording: those of kind `parent`
   * @param startNs engine time of the recording's first frame
   */
  constructor(ports: readonly RecordedPort[], startNs: number) {
    this.ports = new Map(ports.filter(({ kind }) => kind === 'parent').map((port) => [port.name, port]))
    this.startNs = startNs
  }

  async acquire(name: string): Promise<Parent> {
    const place = this.ports.has(name) ? { interface: name, vlan: null } : parseVlanParent(name, (base) => this.ports.has(base))
    const port = this.ports.get(place.interface)
    if (port === undefined) throw new NetworkError('not-found', `the recording has no interface ${name}`)
    const { label, mac, comment } = port
    const { mtu, station } = parseParentWords(comment)
    const trunk = `${label}/trunk`
    const link = { a: [label, 0], b: [trunk, TrunkPort.cable] } as const
    const description = `interface ${port.name}, parent of networks`
    const point = { name: label, kind: 'interface', description, mac, comment, addresses: [], aliases: [], elements: [label] } as const
    const wire: CaptureWire = { point, link }
    const elements = {
      [label]: { type: 'replay', options: { isEndpoint: true, mtu, startNs: this.startNs } },
      [trunk]: { type: 'vlan-trunk' }
    }
    const common = { name, mac, mtu, part: { elements, links: [link] }, wire }
    if (place.vlan === null) return { ...common, port: [trunk, TrunkPort.untagged], station }
    // The machine's addresses on a VLAN are not told.
    return { ...common, port: [trunk, vlanPort(place.vlan)], station: { addresses: [], routes: {} } }
  }

  async release(): Promise<void> {}
}

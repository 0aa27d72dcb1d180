/** A LAN of a lab: a learning bridge that hosts, routers and stations are plugged into. */
import type { PortReference } from '../driver.ts'
import type { EngineHost } from '../engine-host.ts'
import { NetworkError } from '../network-error.ts'
import { NumberPool } from '../number-pool.ts'

/** Of one bridge. */
const PORTS_MAX = 4096

export class EmulatedLan {
  readonly name: string
  /** Longest packet, bytes. */
  readonly mtu: number
  /** Of which LAN it is a VLAN; null: of none. */
  vlan: { readonly trunk: string; readonly id: number } | null = null
  private readonly ports = new NumberPool(PORTS_MAX)

  private constructor(name: string, mtu: number) {
    this.name = name
    this.mtu = mtu
  }

  static async create(engine: EngineHost, name: string, { mtu = 1500 }: { mtu?: number } = {}): Promise<EmulatedLan> {
    const lan = new EmulatedLan(name, mtu)
    await engine.patch({ elements: { [lan.element]: { type: 'bridge' } } })
    return lan
  }

  /** In the whole engine. */
  get element(): string {
    return `lan/${this.name}`
  }

  /** The lowest free port; whoever gets it links it. Throws NetworkError `exhausted`. */
  plug(): PortReference {
    const port = this.ports.take()
    if (port < 0) throw new NetworkError('exhausted', `LAN ${this.name} has ${PORTS_MAX} ports: no more fit`)
    return [this.element, port]
  }

  /** The link is gone already. */
  unplug([, port]: PortReference): void {
    this.ports.give(port)
  }
}

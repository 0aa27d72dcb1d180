/**
 * Parents that are interfaces of this machine, reached by packet sockets: their kernel goes on using them.
 *
 *   the LAN ... eth0 | packet socket `parent/eth0` -- 0 | trunk `parent/eth0/trunk` | 1, 31 -- macvlan, ipvlan
 *                    | the kernel's own stack
 *
 * Frames of the kernel itself are not heard, and it does not hear ours: a child and its own host do not reach each other, as with the
 * kernel's macvlan. Nothing is changed on the machine but promiscuous mode while the socket is open, and for ipvlan, whose packets come
 * under the machine's own MAC, a table of nf_tables (parent-filter.ts).
 */

import { TrunkPort, vlanPort } from '../../elements/vlan/vlan-trunk.ts'
import { interfaceSpeed } from '../../io/interface-speed.ts'
import type { NativeBinding } from '../../io/native-binding.ts'
import { ChangeWatch } from '../../io/netlink/change-watch.ts'
import type { Link } from '../../io/netlink/links.ts'
import type { Netlink } from '../../io/netlink/netlink.ts'
import { openPacketSocket } from '../../io/packet-socket-device.ts'
import type { CaptureWire } from '../capture-point.ts'
import type { PortReference, TopologyPart } from '../driver.ts'
import type { EngineHost } from '../engine-host.ts'
import { NetworkError } from '../network-error.ts'
import { type Parent, type ParentInterfaces, type ParentName, type ParentUser, parseVlanParent } from '../parents.ts'
import { HostNamespace } from '../uplinks/host/host-namespace.ts'
import { ParentFilter } from './parent-filter.ts'
import { parentWords } from './parent-words.ts'

const PREFIX = 'parent'

export interface HostParentsOptions {
  readonly native: NativeBinding
  readonly engine: Pick<EngineHost, 'listen'>
  /** fd of the network namespace that has the interfaces; default -1: the caller's own, and the engine's. */
  readonly netns?: number
  /** Where the journal of changes is kept; it exists. */
  readonly stateDirectory: string
  /** For what nobody asked for but an operator should read. */
  readonly log: (message: string) => void
}

/** An interface that somebody stands on. */
interface Used {
  readonly link: Link
  /** By network id. */
  readonly users: Map<string, { readonly user: ParentUser; readonly vlan: number | null }>
  /** What was last said of it. */
  state: 'up' | 'down' | 'gone'
}

export class HostParents implements ParentInterfaces {
  readonly reserved = [PREFIX]
  private readonly options: HostParentsOptions
  private readonly host: HostNamespace
  private readonly filter: ParentFilter
  /** By name of the interface. */
  private readonly used = new Map<string, Used>()
  private watch: ChangeWatch | null = null

  constructor(options: HostParentsOptions) {
    this.options = options
    this.host = new HostNamespace(options.native, options.netns ?? -1)
    this.filter = new ParentFilter(this.host, options.stateDirectory, options.log)
  }

  /** Takes away what an earlier daemon left. */
  async start(): Promise<void> {
    await this.filter
      .removeLeft()
      .catch((error: Error) => this.options.log(`rules of an earlier daemon for ipvlan parents are still there: ${error.message}`))
  }

  async acquire(name: string, user: ParentUser): Promise<Parent> {
    const links = await this.netlink.links.list()
    const { interface: base, vlan } = nameOf(name, links)
    const link = links.find((each) => each.name === base)!
    this.checkSame(link)
    this.checkAlone(base, vlan, user)
    this.checkPossible(base)
    const { mac, mtu } = link
    const trunk = `${PREFIX}/${base}/trunk`
    const own = await this.station(link)
    const station = vlan === null ? own : { addresses: [], routes: {} }
    try {
      const used = this.used.get(base) ?? this.begin(link)
      used.users.set(user.network, { user, vlan })
      if (user.driver === 'ipvlan') await this.filter.add(user.network, base, user.subnets)
    } catch (error) {
      await this.release(name, user.network).catch(() => {}) // the first error says why
      throw error
    }
    const port: PortReference = [trunk, vlan === null ? TrunkPort.untagged : vlanPort(vlan)]
    return {
      name,
      mac,
      mtu,
      part: partOf(this.host.fd, base, trunk, mtu),
      wire: wireOf(base, trunk, mac, await interfaceSpeed(link), parentWords({ mtu, station: own })),
      port,
      station
    }
  }

  async release(name: string, network: string): Promise<void> {
    for (const [base, used] of this.used) {
      if (!used.users.delete(network)) continue
      if (used.users.size === 0) {
        this.used.delete(base)
        this.options.engine.listen(`${PREFIX}/${base}`, null)
      }
    }
    if (this.used.size === 0) this.stopWatching()
    await this.filter.remove(network).catch((error: Error) => {
      throw new NetworkError(
        'unclean',
        `the rules that kept ${name}'s kernel from packets of the network are still there: ${error.message}`,
        {
          cause: error
        }
      )
    })
  }

  /** Everything is put back. The engine may still run, or be gone already. */
  async close(): Promise<void> {
    this.stopWatching()
    await this.filter.removeAll()
  }

  private get netlink(): Netlink {
    return this.host.netlink
  }

  /** The wire that is shared is of the interface that was there first: one made anew under its name has another. */
  private checkSame({ name, index }: Link): void {
    const used = this.used.get(name)
    if (used === undefined || (used.state !== 'gone' && used.link.index === index)) return
    const networks = [...used.users.keys()].map((id) => id.slice(0, 12)).join(', ')
    throw new NetworkError('conflict', `the parent interface ${name} was deleted while networks stood on it, and is another one now`, {
      fix: `remove the networks ${networks} first`
    })
  }

  /** One rx_handler a device, as in the kernel: who shares a MAC with the parent and who does not cannot both stand on it. */
  private checkAlone(base: string, vlan: number | null, { driver }: ParentUser): void {
    for (const other of this.used.get(base)?.users.values() ?? []) {
      if (other.vlan !== vlan || other.user.driver === driver) continue
      throw new NetworkError('conflict', `failed to create the ${driver} port: device or resource busy`, {
        fix: `a network of driver ${other.user.driver} stands on ${base} already: take a VLAN of it`
      })
    }
  }

  /** The element opens the socket; here its errors come in time and in words. */
  private checkPossible(base: string): void {
    const { native } = this.options
    try {
      native.closeFd(openPacketSocket(native, { netns: this.host.fd, interface: base }).fd)
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException
      const fix = code === 'EPERM' ? 'run the daemon as root, or with CAP_NET_RAW in the namespace of the interface' : undefined
      throw new NetworkError('unsupported', `a packet socket on the parent ${base} cannot be opened: ${message}`, { cause, fix })
    }
  }

  private begin(link: Link): Used {
    this.watch ??= ChangeWatch.open(this.options.native, this.host.fd, ['link'], () => this.look())
    const used: Used = { link, users: new Map(), state: link.up && link.running ? 'up' : 'down' }
    this.used.set(link.name, used)
    this.options.engine.listen(`${PREFIX}/${link.name}`, () => this.tell(used, 'gone'))
    return used
  }

  private stopWatching(): void {
    this.watch?.close()
    this.watch = null
  }

  private look(): void {
    this.netlink.links
      .list()
      .then((links) => {
        for (const used of this.used.values()) {
          const link = links.find(({ index }) => index === used.link.index)
          this.tell(used, link === undefined ? 'gone' : link.up && link.running ? 'up' : 'down')
        }
      })
      .catch((error: Error) => this.options.log(`the state of parent interfaces cannot be read: ${error.message}`))
  }

  private tell(used: Used, state: Used['state']): void {
    // Who was deleted does not come back: an interface of the same name is another one.
    if (used.state === state || used.state === 'gone') return
    used.state = state
    const { name } = used.link
    if (state === 'gone') this.options.log(`the parent interface ${name} was deleted: make its networks anew, or start the daemon again`)
    else this.options.log(`the parent interface ${name} is ${state}`)
  }

  /** By what the kernel would route what ipvlan in l3 gives it. */
  private async station({ index }: Link): Promise<NonNullable<Parent['station']>> {
    const { addresses, routes } = this.netlink
    const own = await addresses.list(index)
    const ways = (await routes.list()).filter(({ dev, type }) => dev === index && type === UNICAST)
    return {
      addresses: own.filter(({ address }) => !address.startsWith('fe80:')).map(({ address }) => address),
      routes: Object.fromEntries(
        ways.filter(({ to }) => !to.startsWith('fe80:')).map(({ to, via }) => [to, via === undefined ? {} : { via }])
      )
    }
  }
}

/** RTN_UNICAST. */
const UNICAST = 1

/** Wire and trunk: the same for all who stand on the interface. */
function partOf(netns: number, base: string, trunk: string, mtu: number): TopologyPart {
  const wire = `${PREFIX}/${base}`
  const options = { netns, interface: base, name: base, promiscuous: true, mtu }
  return {
    elements: { [wire]: { type: 'packet-socket', options }, [trunk]: { type: 'vlan-trunk' } },
    links: [{ a: [wire, 0], b: [trunk, TrunkPort.cable] }]
  }
}

function wireOf(base: string, trunk: string, mac: string, speed: number | undefined, comment: string): CaptureWire {
  const wire = `${PREFIX}/${base}`
  const description = `interface ${base}, parent of networks`
  return {
    point: {
      name: wire,
      kind: 'interface',
      description,
      mac,
      comment,
      addresses: [],
      ...(speed !== undefined && { speed }),
      aliases: [base],
      elements: [wire]
    },
    link: { a: [wire, 0], b: [trunk, TrunkPort.cable] }
  }
}

function nameOf(name: string, links: readonly Link[]): ParentName {
  const exists = (wanted: string): boolean => links.some((link) => link.name === wanted)
  return exists(name) ? { interface: name, vlan: null } : parseVlanParent(name, exists)
}

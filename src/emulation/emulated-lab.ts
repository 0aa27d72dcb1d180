/**
 * A lab of emulated hosts in one process and on one engine: LANs, routers and stations, and on them Docker hosts, each with a socket of
 * its own.
 *
 *   lock - engine - LANs, routers, stations - hosts - listeners        (ended in the opposite order)
 *
 * Networks and services are made over the sockets, as by any other client: see LabStart.
 */
import type { Logger } from '../api/logger.ts'
import { MemoryClusterServer, MemoryClusterStore } from '../cluster/memory-cluster-store.ts'
import type { Host, LabFile, Place } from '../compose/lab-file.ts'
import type { LinkSetting } from '../compose/link.ts'
import { captureSection } from '../daemon/capture-service.ts'
import type { DaemonConfig } from '../daemon/daemon-config.ts'
import { makeDirectories } from '../daemon/directories.ts'
import { DockerHost, type DockerHostOptions } from '../daemon/docker-host.ts'
import { parseHost } from '../daemon/host-address.ts'
import { hostPrefixes } from '../daemon/host-prefixes.ts'
import { makeUplink } from '../daemon/make-uplink.ts'
import { UndoStack } from '../daemon/undo-stack.ts'
import { isOnHost } from '../daemon/uplink-setting.ts'
import { TrunkPort } from '../elements/vlan/vlan-trunk.ts'
import { RealClock } from '../engine/clock.ts'
import { freshSeed } from '../engine/index.ts'
import { CaptureControl } from '../network/capture-control.ts'
import { cableWords } from '../network/emulated/cable-words.ts'
import { EmulatedCables } from '../network/emulated/emulated-cables.ts'
import { EmulatedInterface } from '../network/emulated/emulated-interface.ts'
import { EmulatedLan } from '../network/emulated/emulated-lan.ts'
import { EmulatedParents } from '../network/emulated/emulated-parents.ts'
import { addRouter } from '../network/emulated/emulated-router.ts'
import { addStation } from '../network/emulated/emulated-station.ts'
import { EmulatedUnderlay } from '../network/emulated/emulated-underlay.ts'
import { EmulatedUplink } from '../network/emulated/emulated-uplink.ts'
import { joinVlan } from '../network/emulated/emulated-vlan.ts'
import { outsidePort, ScopedEngine } from '../network/scoped-engine.ts'
import { ThreadedEngine } from '../network/threaded-engine.ts'
import { MemoryStore } from '../store/memory-store.ts'
import { formatPrefix } from '../wire/cidr.ts'
import type { LabDirectory, LabRecord } from './lab-directory.ts'
import { clearLeftovers } from './remove-lab.ts'

export interface EmulatedLabOptions {
  readonly file: LabFile
  /** Absolute, for whoever asks about the lab. */
  readonly path: string
  readonly directory: LabDirectory
  /** What each host has as if it were a daemon; state directory, sockets and uplink come from the lab. */
  readonly config: DaemonConfig
  readonly logger: Logger
  /** netloom's own. */
  readonly version: string
  /** Told when the lab cannot go on: the engine ended by a defect. */
  readonly onFailure: (error: Error) => void
}

/** As it is shown: nobody listens there, the hosts are in one process. */
const CLUSTER_PORT = 2376

export class EmulatedLab {
  private readonly options: EmulatedLabOptions
  private readonly undo: UndoStack
  private readonly lans = new Map<string, EmulatedLan>()
  private cables!: EmulatedCables
  /** What the hosts know together: their overlay networks. */
  private readonly cluster = new MemoryClusterServer()
  private stopping: Promise<void> | null = null

  private constructor(options: EmulatedLabOptions) {
    this.options = options
    this.undo = new UndoStack((error) => options.logger.error('a part of the lab did not end well', { error }))
  }

  /** Resolves when all hosts take connections. Rejects with LabError, NetworkError, DaemonError or the system's errors; nothing is left then. */
  static async start(options: EmulatedLabOptions): Promise<EmulatedLab> {
    const lab = new EmulatedLab(options)
    try {
      await lab.begin()
      return lab
    } catch (error) {
      await lab.stop()
      throw error
    }
  }

  /** As `lab.json` has it. */
  record(status: LabRecord['status']): LabRecord {
    const { file, path, directory } = this.options
    const hosts = file.hosts.map(({ name, eth0 }) => ({
      name,
      socket: `unix://${directory.socket(name)}`,
      addresses: eth0?.addresses.map(({ text }) => text) ?? [],
      underlay: eth0?.underlay.text() ?? null
    }))
    return { name: file.name, file: path, status, hosts }
  }

  /** Everything is set up: tells others. */
  ready(): void {
    this.options.directory.write(this.record('running'))
  }

  /** Ends containers, hosts and the engine, and removes the lab's folder. */
  stop(): Promise<void> {
    this.stopping ??= this.undo.run()
    return this.stopping
  }

  private async begin(): Promise<void> {
    const { directory, file, onFailure } = this.options
    const release = directory.acquire()
    this.undo.push(() => {
      directory.remove()
      release()
    })
    await clearLeftovers(directory)
    directory.write(this.record('starting'))
    const seed = freshSeed()
    const engine = new ThreadedEngine({ seed, onCrash: onFailure })
    this.undo.push(() => engine.close())
    await engine.framesInUse() // the first answer says that the engine is there
    this.cables = new EmulatedCables(engine)
    await this.addSurroundings(engine)
    const hosts: DockerHost[] = []
    // All at once: each may have containers that take their time to end.
    this.undo.push(async () => void (await Promise.all(hosts.map((host) => host.close()))))
    const captures = this.openCaptures(engine, seed)
    this.undo.push(() => captures.close())
    for (const host of file.hosts) hosts.push(await this.addHost(engine, host, captures))
    await this.shapeCables()
    this.undo.push(() => directory.write(this.record('stopping')))
  }

  /** One for all hosts: a frame that goes from one to the other has one number in one file. */
  private openCaptures(engine: ThreadedEngine, seed: number | string): CaptureControl {
    const { file, version, path } = this.options
    const about = `lab ${file.name} (${path})${file.description === '' ? '' : `: ${file.description}`}, seed ${seed}`
    const captures = new CaptureControl({ engine, section: captureSection(version, about) })
    captures.addCables(this.cables)
    return captures
  }

  private async addSurroundings(engine: ThreadedEngine): Promise<void> {
    const { underlays, routers, services } = this.options.file
    for (const { name, mtu } of underlays) this.lans.set(name, await EmulatedLan.create(engine, name, { mtu }))
    for (const { name, vlan } of underlays) {
      if (vlan !== null) await joinVlan(engine, this.lans.get(name)!, this.lans.get(vlan.trunk.text())!, vlan.id)
    }
    for (const { name, interfaces, routes } of routers) {
      await addRouter(engine, name, {
        interfaces: interfaces.map((place) => ({ ...this.place(place), lan: this.lan(place) })),
        routes,
        cables: this.cables
      })
    }
    for (const { name, virtual } of services) {
      if (virtual?.station == null) continue
      const { station, udpEcho } = virtual
      const gateway = station.gateway ?? this.gateway(station)
      const options = { ...this.place(station), udpEcho, cables: this.cables, ...(gateway !== undefined && { gateway }) }
      await addStation(engine, name, this.lan(station), options)
    }
  }

  /** Each as it says itself, else as its underlay does. */
  private async shapeCables(): Promise<void> {
    const { underlays, hosts, routers, services } = this.options.file
    const own = new Map<string, LinkSetting | undefined>([
      ...hosts.map(({ name, eth0 }) => [`${name}/eth0`, eth0?.link] as const),
      ...routers.flatMap(({ name, interfaces }) => interfaces.map(({ link }, number) => [`${name}/eth${number}`, link] as const)),
      ...services.flatMap(({ name, virtual, link }) => (virtual?.station == null ? [] : [[`${name}/eth0`, link] as const]))
    ])
    for (const cable of this.cables) {
      const link = own.get(cable.name) ?? underlays.find(({ name }) => name === cable.lan.name)!.link
      if (link !== undefined) await this.cables.setLink([cable.name], link.change)
    }
  }

  private async addHost(engine: ThreadedEngine, host: Host, captures: CaptureControl): Promise<DockerHost> {
    const { directory, config, logger, version, file } = this.options
    const { name, eth0, dns, nat } = host
    const scoped = new ScopedEngine(engine, `${name}/`)
    const directories = makeDirectories(directory.host(name), directory.sockets)
    const subnets = file.underlays.flatMap(({ subnet }) => (subnet === undefined ? [] : [formatPrefix(subnet)]))
    const surroundings =
      eth0 === null
        ? this.machine(directories.state)
        : { ...this.plugIn(host, eth0, scoped), avoid: () => subnets, publishesOnMachine: () => false }
    const dockerHost = await DockerHost.open({
      config: { ...config, 'state-dir': directories.state, 'live-restore': false, nat, dns: dns.length > 0 ? dns : config.dns },
      logger,
      version,
      name,
      directories,
      store: new MemoryStore(),
      clock: new RealClock(),
      engine: scoped,
      cables: this.cables,
      captures,
      ...surroundings
    })
    try {
      await dockerHost.listen(parseHost(`unix://${directory.socket(name)}`), undefined)
    } catch (error) {
      await dockerHost.close()
      throw error
    }
    return dockerHost
  }

  /** The way out of the only host of a lab without underlays. */
  private machine(state: string): Pick<DockerHostOptions, 'uplink' | 'avoid' | 'publishesOnMachine'> {
    const { config, file } = this.options
    const uplink = makeUplink(file.uplink ?? config.uplink, state, process.getuid?.() === 0)
    return { uplink, avoid: hostPrefixes, publishesOnMachine: () => isOnHost(uplink?.kind) }
  }

  /** A host on an underlay: its way out, what networks may stand on, the other hosts of its cluster. */
  private plugIn(
    { name }: Host,
    place: NonNullable<Host['eth0']>,
    engine: ScopedEngine
  ): Pick<DockerHostOptions, 'uplink' | 'parents' | 'cluster'> {
    const lan = this.lan(place)
    const socket = lan.plug()
    const wire = outsidePort(socket)
    const eth0 = new EmulatedInterface({ name: 'eth0', ...this.place(place), mtu: lan.mtu, wire })
    const { mac, addresses } = eth0
    const [station, words] = [
      [`${name}/${eth0.trunk}`, TrunkPort.cable],
      cableWords({ end: 'host', lan, routes: this.routes(place) })
    ] as const
    this.cables.add({ name: `${name}/eth0`, lan, socket, station, mac, addresses, words })
    const address = eth0.address!
    this.options.logger.debug('host plugged in', { host: name, lan: lan.name, port: wire[1] })
    return {
      uplink: new EmulatedUplink({ interface: eth0, routes: this.routes(place) }),
      parents: new EmulatedParents(eth0),
      cluster: {
        store: new MemoryClusterStore(this.cluster),
        underlay: () => new EmulatedUnderlay(engine, eth0),
        address,
        advertise: `${address}:${CLUSTER_PORT}`
      }
    }
  }

  private routes({ underlay, gateway, gateway6, addresses }: NonNullable<Host['eth0']>): Record<string, string> {
    const { file } = this.options
    const lan = file.underlays.find(({ name }) => name === underlay.text())!
    const next = gateway ?? lan.gateway
    const next6 = addresses.length > 1 ? (gateway6 ?? lan.gateway6) : undefined
    return { ...(next !== undefined && { '0.0.0.0/0': next }), ...(next6 !== undefined && { '::/0': next6 }) }
  }

  private lan({ underlay }: Pick<Place, 'underlay'>): EmulatedLan {
    return this.lans.get(underlay.text())!
  }

  /** The underlay's, unless it is the station's own. */
  private gateway({ underlay, addresses }: Pick<Place, 'underlay' | 'addresses'>): string | undefined {
    const { gateway } = this.options.file.underlays.find(({ name }) => name === underlay.text())!
    return addresses.some(({ text }) => text.split('/')[0] === gateway) ? undefined : gateway
  }

  private place({ addresses, mac }: Pick<Place, 'addresses' | 'mac'>): { addresses: string[]; mac?: string } {
    return { addresses: addresses.map(({ text }) => text), ...(mac !== undefined && { mac }) }
  }
}

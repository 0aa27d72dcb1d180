/**
 * Plays a capture of real processes, or of any lab, into the same elements under the virtual clock, and says whether what comes out at
 * each port is what came out then.
 *
 *     const { isSame, ports } = await verifyRecording('run.pcapng')     // of lab.capture('run.pcapng', { everyPort: true })
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type LinkAddresses, LinkType } from '../capture/to-ethernet.ts'
import { DOCKER_DNS } from '../dns/dns-options.ts'
import type { NatSettings } from '../elements/nat/nat-options.ts'
import type { NetworkController } from '../network/controller.ts'
import { IpvlanDriver } from '../network/drivers/ipvlan-driver.ts'
import { MacvlanDriver } from '../network/drivers/macvlan-driver.ts'
import { OverlayDriver } from '../network/drivers/overlay-driver.ts'
import { parseEndpointWords } from '../network/endpoint-words.ts'
import type { EngineHost } from '../network/engine-host.ts'
import type { ForwardNames } from '../network/name-forwarder.ts'
import type { NetworkSpec } from '../network/network.ts'
import { compareOutputs, type PortComparison } from '../replay/compare-outputs.ts'
import { FramePlayer } from '../replay/frame-player.ts'
import { RecordedNames } from '../replay/recorded-names.ts'
import { RecordedParents } from '../replay/recorded-parents.ts'
import { RECORDED_UNDERLAY, recordedOverlay, type TunnelChange, underlaySetting, withoutNumber } from '../replay/recorded-tunnel.ts'
import { RecordedUplink } from '../replay/recorded-uplink.ts'
import type { RecordedNetwork, RecordedPort, Recording } from '../replay/recording.ts'
import { readRecording } from '../replay/recording.ts'
import type { ReplaySource } from '../replay/replay-source.ts'
import { MAC_LENGTH } from '../wire/address.ts'
import { Lab } from './lab.ts'
import { addressOf, RecordedHosts, type RecordedHostsOptions } from './recorded-hosts.ts'

export interface VerifyOptions {
  /** Of the lab in which it is played; default: that of the recording, so that what is drawn (ports of a NAT, losses of a link) is the same. */
  readonly seed?: number | string
  /** Other settings of a network than the capture tells, by its name (`host1/lan` in a lab of hosts): `{ lan: { mtu: 1400 } }`. */
  readonly networks?: Readonly<Record<string, Omit<NetworkSpec, 'name' | 'subnet' | 'subnet6'>>>
  /** As the recorded daemon's; default: as Linux. */
  readonly nat?: NatSettings
  /** Changes the lab before anything is played: hosts, links, published ports (`lab.controller.publish`). */
  readonly prepare?: (lab: Lab) => Promise<void>
  /** The same for a recording of a lab of several hosts: `hosts.controllers.get('host1')`, `hosts.cables`. */
  readonly prepareHosts?: (hosts: RecordedHosts) => Promise<void>
  /** Milliseconds that pass after the last frame; default 2000. */
  readonly tailMs?: number
  /** Where what came out is kept; by default it is not. */
  readonly output?: string
}

export interface Verification {
  /** The same frames at every port, and in the same order, but for those that left within one turn of the engine. */
  readonly isSame: boolean
  /** In the order of the recording. */
  readonly ports: readonly PortComparison[]
  /** Interfaces of the recording that cannot be played, and are not compared. */
  readonly leftOut: readonly string[]
  /** Seconds that the recording lasts. */
  readonly seconds: number
}

/** Engine time of the recording's first frame: what is there from the beginning is made before. */
const START_NS = 1_000_000

/** Rejects with NetworkError `invalid` for a capture that is no recording, and with what reading and writing captures reject with. */
export async function verifyRecording(input: string | Uint8Array, options: VerifyOptions = {}): Promise<Verification> {
  const recording = readRecording(input)
  const folder = options.output === undefined ? await mkdtemp(path.join(tmpdir(), 'netloom-verify-')) : null
  const output = options.output ?? path.join(folder!, 'played.pcapng')
  try {
    const endNs = await play(recording, output, options)
    const played = new Map(readRecording(output).ports.map((port) => [port.label, port]))
    const ports = recording.ports.map((port) => {
      const { label, outputTimes } = port
      const again = played.get(label)
      const [before, after] = [port.outputs, again?.outputs ?? []].map((all) =>
        underlaySetting(port) === null ? all : all.map((frame) => withoutNumber(frame))
      )
      return compareOutputs(label, before, after, outputTimes, (place) => again!.outputTimes[place] > endNs)
    })
    return {
      isSame: ports.every(({ differences, isOrdered }) => differences.length === 0 && isOrdered),
      ports,
      leftOut: recording.leftOut,
      seconds: Number(recording.lastNs - recording.firstNs) / 1e9
    }
  } finally {
    if (folder !== null) await rm(folder, { recursive: true, force: true })
  }
}

/** Resolves with when the recording's last frame was, in time stamps of the output. */
async function play(recording: Recording, output: string, options: VerifyOptions): Promise<bigint> {
  const { seed = recording.seed ?? 1, nat = {}, tailMs = 2000 } = options
  const names = new RecordedNames(recording.ports)
  const forward: ForwardNames = async ({ query, tcp, element }) => {
    const answer = tcp ? null : names.take(element, query)
    const wait = answer === null ? 0 : timeOf(recording, answer.timeNs) - stage.engine.now()
    if (wait > 0) await stage.engine.wait(wait)
    return answer?.message ?? null
  }
  const dns = { ...(recording.isDocker ? DOCKER_DNS : {}), unanswered: 'silent' } as const
  const common = { seed, nat, dns, forward }
  const isLabOfHosts = recording.ports.some(({ kind }) => kind === 'cable')
  const stage = isLabOfHosts ? await hostsStage(recording, output, common, options) : await labStage(recording, output, common, options)
  try {
    const { engine } = stage
    await engine.settle(playPorts(recording, stage))
    await engine.advance(tailMs * 1e6)
    return engine.epochNs + BigInt(timeOf(recording, recording.lastNs))
  } finally {
    await stage.close()
  }
}

/** Where a recording is played. */
interface Stage {
  readonly engine: EngineHost
  /** Of a host. */
  readonly controller: (host: string) => NetworkController
  /** Of a port that is no endpoint's; undefined: what stands there sends by itself. */
  readonly element: (port: RecordedPort) => string | undefined
  /** Of what became known of other machines. */
  readonly tell: (change: TunnelChange) => Promise<void>
  readonly close: () => Promise<void>
}

type StageOptions = Omit<RecordedHostsOptions, 'startNs'>

async function labStage(
  recording: Recording,
  output: string,
  { seed, ...control }: StageOptions,
  { networks = {}, prepare }: VerifyOptions
): Promise<Stage> {
  const way = recording.ports.find(({ kind }) => kind === 'uplink')
  const uplink = way === undefined ? null : new RecordedUplink(way, recording.ports, START_NS)
  const parents = new RecordedParents(recording.ports, START_NS)
  const underlay = recording.ports.find((port) => underlaySetting(port) !== null)
  const overlay = underlay === undefined ? [] : [recordedOverlay(underlay, START_NS)]
  const drivers = [new MacvlanDriver(parents), new IpvlanDriver(parents), ...overlay]
  const lab = await Lab.create({ clock: 'virtual', seed, control: { ...control, drivers, ...(uplink !== null && { uplink }) } })
  try {
    const capture = await lab.capture(output, { everyPort: true })
    // By the lab, which knows them then.
    for (const each of recording.networks) await lab.network(each.name, networkSpec(each, networks))
    await prepare?.(lab)
    const { controller } = lab
    return {
      engine: controller.engine,
      controller: () => controller,
      element: ({ kind, label, network }) => {
        if (kind === 'uplink') return uplink!.element
        if (kind === 'underlay') return RECORDED_UNDERLAY
        return kind === 'parent' ? label : `${controller.network(network).element}/host`
      },
      tell: async (change) => {
        if (!('vteps' in change)) return tellRemote(controller, change)
        for (const driver of overlay) await controller.update(driver.setVteps(change.vteps))
      },
      close: async () => void (await capture.close().finally(() => lab.close()))
    }
  } catch (error) {
    await lab.close()
    throw error
  }
}

async function hostsStage(
  recording: Recording,
  output: string,
  control: StageOptions,
  { networks = {}, prepareHosts }: VerifyOptions
): Promise<Stage> {
  const hosts = await RecordedHosts.create(recording, { ...control, startNs: START_NS })
  try {
    for (const each of recording.networks) {
      await hosts.controllers.get(each.host)?.createNetwork({ ...networkSpec(each, networks), name: each.name })
    }
    await prepareHosts?.(hosts)
    await hosts.capture(output)
    return {
      engine: hosts.engine,
      controller: (host) => hosts.controllers.get(host)!,
      element: (port) => (port.kind === 'cable' ? hosts.station(port) : undefined),
      tell: async () => {},
      close: () => hosts.close()
    }
  } catch (error) {
    await hosts.close()
    throw error
  }
}

/** Resolves when all that came in has come in again. */
async function playPorts(recording: Recording, stage: Stage): Promise<void> {
  const playing: Promise<boolean>[] = []
  const changes = [...recording.tunnel]
  const tellUntil = async (ns: bigint): Promise<void> => {
    while (changes.length > 0 && changes[0].timeNs <= ns) {
      await waitFor(recording, stage, changes[0].timeNs)
      await stage.tell(changes.shift()!)
    }
  }
  for (const port of recording.ports) {
    await tellUntil(port.sinceNs)
    // Somebody who came later must not hear what was flooded before, up to that very instant.
    await waitFor(recording, stage, port.sinceNs)
    const element = port.kind === 'endpoint' ? await plugIn(recording, stage, port) : stage.element(port)
    if (element === undefined) continue
    const player = new FramePlayer(stage.engine, element, { addresses: ETHERNET, originNs: recording.firstNs })
    playing.push(player.play(inputSource(port)))
  }
  await tellUntil(recording.lastNs)
  await Promise.all(playing)
}

/** What is there from the beginning is waited for by nobody. */
async function waitFor(recording: Recording, { engine }: Stage, ns: bigint): Promise<void> {
  const wait = timeOf(recording, ns) + 1 - engine.now()
  if (wait > 0 && ns > recording.firstNs) await engine.wait(wait)
}

/** On a network that the capture shows. */
async function tellRemote(controller: NetworkController, change: Exclude<TunnelChange, { vteps: readonly string[] }>): Promise<void> {
  const { network, remote, isGone } = change
  if (![...controller.networks.values()].some(({ name }) => name === network)) return
  await controller.updateRemotes(network, isGone ? [] : [remote], isGone ? [remote.id] : [])
}

/** Engine time of an instant of the recording, nanoseconds. */
function timeOf({ firstNs }: Recording, ns: bigint): number {
  return START_NS + Number(ns - firstNs)
}

function networkSpec(
  { host, name, driver, subnets: [subnet, ...more], subnet6, setting }: RecordedNetwork,
  given: NonNullable<VerifyOptions['networks']>
): Omit<NetworkSpec, 'name'> {
  return {
    driver,
    subnet,
    ...(more.length > 0 && { subnets: more.map((each) => ({ subnet: each })) }),
    ...(subnet6 !== '' && { subnet6 }),
    ...setting,
    ...(given[`${host}/${name}`] ?? given[name])
  }
}

/** A recording has whole frames. */
const ETHERNET: LinkAddresses = { source: new Uint8Array(MAC_LENGTH), destination: () => new Uint8Array(MAC_LENGTH) }

/** An endpoint is plugged in for it; the other hosts of an overlay network are told. Resolves with its element in the whole engine. */
async function plugIn(recording: Recording, stage: Stage, port: RecordedPort): Promise<string> {
  const { host, name, mac, addresses, names } = port
  const controller = stage.controller(host)
  const network = controller.network(port.network)
  const { vni, container } = parseEndpointWords(port.comment)
  const [address, address6] = addresses.map((cidr) => cidr.split('/')[0])
  const { driver } = network
  const shared = driver.mac?.(network)
  if (driver instanceof OverlayDriver && vni !== undefined) driver.setVni(network, address, vni)
  const spec = {
    name,
    address,
    ...(shared === undefined && { mac }),
    ...(address6 !== undefined && { address6 }),
    ...(names.length > 0 && { names }),
    ...(container !== undefined && { sandbox: container })
  }
  const options = { isEndpoint: true, mtu: network.mtu, startNs: START_NS }
  const { element: own, id, names: known } = await controller.connect(network.name, spec, () => ({ type: 'replay', options }))
  const element = host === '' ? own : `${host}/${own}`
  if (!(driver instanceof OverlayDriver) || host === '') return element
  const cable = recording.ports.find(({ kind, name: owner }) => kind === 'cable' && owner === host)!
  const remote = { id, names: known, address, address6: address6 ?? '', mac, vtep: addressOf(cable) }
  for (const other of recording.networks) {
    if (other.driver === 'overlay' && other.name === port.network && other.host !== host) {
      await stage.controller(other.host).updateRemotes(other.name, [remote], [])
    }
  }
  return element
}

/** What came in by the port. */
function inputSource({ inputs }: RecordedPort): ReplaySource {
  return {
    async *frames() {
      yield inputs
    },
    interfaces: () => [{ linkType: LinkType.ethernet, snapLength: 0 }],
    position: () => 0
  }
}

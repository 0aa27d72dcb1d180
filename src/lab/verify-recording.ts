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
import type { ForwardNames } from '../network/name-forwarder.ts'
import type { Network, NetworkSpec } from '../network/network.ts'
import { compareOutputs, type PortComparison } from '../replay/compare-outputs.ts'
import { FramePlayer } from '../replay/frame-player.ts'
import { RecordedNames } from '../replay/recorded-names.ts'
import { RecordedUplink } from '../replay/recorded-uplink.ts'
import type { RecordedPort, Recording } from '../replay/recording.ts'
import { readRecording } from '../replay/recording.ts'
import type { ReplaySource } from '../replay/replay-source.ts'
import { MAC_LENGTH } from '../wire/address.ts'
import { Lab } from './lab.ts'
import type { LabNetwork } from './lab-network.ts'

export interface VerifyOptions {
  /** Of the lab in which it is played; default: that of the recording, so that what is drawn (ports of a NAT, losses of a link) is the same. */
  readonly seed?: number | string
  /** What the capture does not tell of a network, by its name: `{ lan: { gateway: null } }`, `{ lan: { mtu: 1400 } }`. */
  readonly networks?: Readonly<Record<string, Omit<NetworkSpec, 'name' | 'subnet' | 'subnet6'>>>
  /** As the recorded daemon's; default: as Linux. */
  readonly nat?: NatSettings
  /** Changes the lab before anything is played: hosts, links, published ports (`lab.controller.publish`). */
  readonly prepare?: (lab: Lab) => Promise<void>
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
    await play(recording, output, options)
    const played = new Map(readRecording(output).ports.map(({ label, outputs }) => [label, outputs]))
    const ports = recording.ports.map(({ label, outputs, outputTimes }) =>
      compareOutputs(label, outputs, played.get(label) ?? [], outputTimes)
    )
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

async function play(
  recording: Recording,
  output: string,
  { seed = recording.seed ?? 1, networks = {}, nat = {}, prepare, tailMs = 2000 }: VerifyOptions
): Promise<void> {
  const way = recording.ports.find(({ kind }) => kind === 'uplink')
  const uplink = way === undefined ? null : new RecordedUplink(way, recording.ports, START_NS)
  const names = new RecordedNames(recording.ports)
  /** Engine time of an instant of the recording, nanoseconds. */
  const timeOf = (ns: bigint): number => START_NS + Number(ns - recording.firstNs)
  const forward: ForwardNames = async ({ query, tcp, element }) => {
    const answer = tcp ? null : names.take(element, query)
    if (answer !== null && timeOf(answer.timeNs) > lab.now) await lab.wait((timeOf(answer.timeNs) - lab.now) / 1e6)
    return answer?.message ?? null
  }
  const dns = { ...(recording.isDocker ? DOCKER_DNS : {}), unanswered: 'silent' } as const
  await using lab = await Lab.create({ clock: 'virtual', seed, control: { nat, dns, forward, ...(uplink !== null && { uplink }) } })
  const capture = await lab.capture(output, { everyPort: true })
  const made = new Map<string, LabNetwork>()
  for (const { name, subnet, subnet6, gateways } of recording.networks) {
    made.set(name, await lab.network(name, { subnet, ...(subnet6 !== '' && { subnet6 }), ...gateways, ...networks[name] }))
  }
  await prepare?.(lab)
  await lab.run(async () => {
    const playing: Promise<boolean>[] = []
    for (const port of recording.ports) {
      // Somebody who came later must not hear what was flooded before.
      const wait = timeOf(port.sinceNs) - lab.now
      if (wait > 0 && port.sinceNs > recording.firstNs) await lab.wait(wait / 1e6)
      const element = await elementOf(lab, port, made.get(port.network)?.network, uplink)
      const player = new FramePlayer(lab.controller.engine, element, { addresses: ETHERNET, originNs: recording.firstNs })
      playing.push(player.play(inputSource(port)))
    }
    await Promise.all(playing)
  })
  await lab.advance(tailMs)
  await capture.close()
}

/** A recording has whole frames. */
const ETHERNET: LinkAddresses = { source: new Uint8Array(MAC_LENGTH), destination: () => new Uint8Array(MAC_LENGTH) }

/** Where what came in by a port comes in again: an endpoint is plugged in for it, the wires of the way out are there. */
async function elementOf(lab: Lab, port: RecordedPort, network: Network | undefined, uplink: RecordedUplink | null): Promise<string> {
  const { kind, name, mac, addresses, names } = port
  if (kind === 'uplink') return uplink!.element
  if (kind === 'host') return `${network!.element}/host`
  const [address, address6] = addresses.map((cidr) => cidr.split('/')[0])
  const spec = { name, mac, address, ...(address6 !== undefined && { address6 }), ...(names.length > 0 && { names }) }
  const options = { isEndpoint: true, mtu: network!.mtu, startNs: START_NS }
  const { element } = await lab.controller.connect(network!.name, spec, () => ({ type: 'replay', options }))
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

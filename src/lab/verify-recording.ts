/**
 * Plays a capture of real processes, or of any lab, into the same elements under the virtual clock, and says whether what comes out at
 * each port is what came out then.
 *
 *     const { isSame, ports } = await verifyRecording('run.pcapng')     // of lab.capture('run.pcapng', { everyPort: true })
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { LinkType } from '../capture/to-ethernet.ts'
import type { NetworkSpec } from '../network/network.ts'
import { AddressMap } from '../replay/address-map.ts'
import { compareOutputs, type PortComparison } from '../replay/compare-outputs.ts'
import { FramePlayer } from '../replay/frame-player.ts'
import { linkAddresses } from '../replay/link-addresses.ts'
import type { RecordedPort, Recording } from '../replay/recording.ts'
import { readRecording } from '../replay/recording.ts'
import type { ReplaySource } from '../replay/replay-source.ts'
import { Lab } from './lab.ts'
import type { LabNetwork } from './lab-network.ts'

export interface VerifyOptions {
  /** Of the lab in which it is played. */
  readonly seed?: number | string
  /** What the capture does not tell of a network, by its name: `{ lan: { gateway: null } }`. */
  readonly networks?: Readonly<Record<string, Omit<NetworkSpec, 'name' | 'subnet' | 'subnet6'>>>
  /** Changes the lab before anything is played: hosts, links. */
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
  /** Interfaces of the recording that are no endpoints, and are not compared. */
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
    const played = new Map(readRecording(output).ports.map((port) => [portName(port), port.outputs]))
    const ports = recording.ports.map((port) => {
      const name = portName(port)
      return compareOutputs(name, port.outputs, played.get(name) ?? [], port.outputTimes)
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

async function play(
  recording: Recording,
  output: string,
  { seed = 1, networks = {}, prepare, tailMs = 2000 }: VerifyOptions
): Promise<void> {
  await using lab = await Lab.create({ clock: 'virtual', seed })
  const capture = await lab.capture(output, { everyPort: true })
  const made = new Map<string, LabNetwork>()
  for (const { name, subnet, subnet6 } of recording.networks) {
    made.set(name, await lab.network(name, { subnet, ...(subnet6 !== '' && { subnet6 }), ...networks[name] }))
  }
  await prepare?.(lab)
  await lab.run(async () => {
    const playing: Promise<boolean>[] = []
    for (const port of recording.ports) {
      // Somebody who came later must not hear what was flooded before.
      const wait = START_NS + Number(port.sinceNs - recording.firstNs) - lab.now
      if (wait > 0 && port.sinceNs > recording.firstNs) await lab.wait(wait / 1e6)
      const player = await connect(lab, made.get(port.network)!, port, recording.firstNs)
      playing.push(player.play(inputSource(port)))
    }
    await Promise.all(playing)
  })
  await lab.advance(tailMs)
  await capture.close()
}

/** Plugs in who sends what the port has sent. */
async function connect(
  lab: Lab,
  { network }: LabNetwork,
  { name, mac, address, address6 }: RecordedPort,
  originNs: bigint
): Promise<FramePlayer> {
  const spec = { name, mac, address, ...(address6 !== '' && { address6 }) }
  const element = { isEndpoint: true, mtu: network.mtu, startNs: START_NS }
  const endpoint = await lab.controller.connect(network.name, spec, () => ({ type: 'replay', options: element }))
  const addresses = linkAddresses(network, endpoint, new AddressMap())
  return new FramePlayer(lab.controller.engine, endpoint.element, { addresses, originNs })
}

/** What the port sends. */
function inputSource({ inputs }: RecordedPort): ReplaySource {
  return {
    async *frames() {
      yield inputs
    },
    interfaces: () => [{ linkType: LinkType.ethernet, snapLength: 0 }],
    position: () => 0
  }
}

function portName({ network, name }: RecordedPort): string {
  return `${network}/${name}`
}

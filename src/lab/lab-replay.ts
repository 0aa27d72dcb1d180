/**
 * A capture as an endpoint: its frames come in from its port, and what is sent to it ends there. It answers nothing.
 *
 *     const player = await lan.replay('player', 'web.pcapng', { interface: 'eth0', speed: 2 })
 *     const { sent } = await lab.run(() => player.done)
 */
import { compileFilter } from '../capture/filter/compile-filter.ts'
import type { ElementCounters } from '../engine/index.ts'
import type { ReplayElementOptions } from '../io/replay-element.ts'
import type { NetworkController } from '../network/controller.ts'
import type { Endpoint } from '../network/endpoint.ts'
import { NetworkError } from '../network/network-error.ts'
import { FramePlayer, type ReplayStatus } from '../replay/frame-player.ts'
import { linkAddresses } from '../replay/link-addresses.ts'
import { checkInterface, playerOptions, type ReplayWish } from '../replay/replay-control.ts'
import { captureSource } from '../replay/replay-source.ts'
import { type EndpointOptions, endpointSpec } from './endpoint-options.ts'
import type { Lab } from './lab.ts'
import type { LabNetwork } from './lab-network.ts'

export interface LabReplayOptions extends EndpointOptions, Omit<ReplayWish, 'into' | 'filter'> {
  /** How often the capture is played, each time behind the last; default 1. */
  readonly loop?: number
  /** Milliseconds before the first frame; default 0. */
  readonly delayMs?: number
  /** Only frames that it wants, in libpcap's language (the built-in subset), under the addresses of the capture. */
  readonly filter?: string
}

export class LabReplay {
  readonly network: LabNetwork
  readonly endpoint: Endpoint
  /** What became of the frames, when the last one has come in or the replay was ended. Rejects with CaptureFormatError. */
  readonly done: Promise<ReplayStatus>
  private readonly controller: NetworkController
  private readonly player: FramePlayer

  private constructor(controller: NetworkController, network: LabNetwork, endpoint: Endpoint, player: FramePlayer, done: Promise<void>) {
    this.controller = controller
    this.network = network
    this.endpoint = endpoint
    this.player = player
    this.done = done.then(() => player.status())
    // Who wants to know asks `done`.
    this.done.catch(() => {})
  }

  /** Rejects with CaptureFileError, CaptureFormatError, CaptureFilterError and NetworkError before anything is plugged in. */
  static async create(
    lab: Lab,
    controller: NetworkController,
    network: LabNetwork,
    name: string,
    capture: string | Uint8Array,
    options: LabReplayOptions
  ): Promise<LabReplay> {
    const { loop = 1, delayMs = 0, filter, interface: from } = options
    if (!(Number.isInteger(loop) && loop > 0)) throw new NetworkError('invalid', `loop ${loop} must be 1 or more`)
    if (!(Number.isFinite(delayMs) && delayMs >= 0)) throw new NetworkError('invalid', `delayMs ${delayMs} is no number of milliseconds`)
    const playing = playerOptions({ ...options, filter: filter === undefined ? undefined : compileFilter(filter) })
    let source = captureSource(capture)
    const { engine } = controller
    const element: ReplayElementOptions = {
      isEndpoint: true,
      paced: playing.speed !== Number.POSITIVE_INFINITY,
      mtu: network.network.mtu,
      ...(delayMs > 0 && { startNs: lab.now + delayMs * 1e6 })
    }
    const endpoint = await controller.connect(network.name, endpointSpec(name, options), () => ({ type: 'replay', options: element }))
    const addresses = linkAddresses(network.network, endpoint, playing.map)
    const player = new FramePlayer(engine, endpoint.element, { ...playing, addresses })
    const play = async (): Promise<void> => {
      for (let round = 0; round < loop; round++) {
        if (round > 0) source = captureSource(capture)
        if (!(await player.play(source))) return
        checkInterface(from, source)
      }
    }
    return new LabReplay(controller, network, endpoint, player, play())
  }

  get name(): string {
    return this.endpoint.name
  }

  get address(): string {
    return this.endpoint.address
  }

  get mac(): string {
    return this.endpoint.mac
  }

  /** How far it is. */
  status(): ReplayStatus {
    return this.player.status()
  }

  counters(): ElementCounters {
    return this.controller.endpointCounters(this.network.network, this.endpoint)
  }

  /** Ends it and unplugs the endpoint. */
  async remove(): Promise<void> {
    this.player.status()
    this.player.stop()
    await this.controller.disconnect(this.network.name, this.name)
  }
}

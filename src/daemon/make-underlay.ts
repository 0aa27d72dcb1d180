import type { NativeBinding } from '../io/native-binding.ts'
import type { Underlay, UnderlayPart, UnderlayTarget } from '../network/underlay.ts'
import { TapUnderlay } from '../network/underlays/tap-underlay.ts'
import { UdpUnderlay } from '../network/underlays/udp-underlay.ts'
import type { DaemonConfig } from './daemon-config.ts'

export interface UnderlayWorld {
  readonly native: NativeBinding
  /** Where an underlay writes down what it changes on the machine. */
  readonly stateDirectory: string
  readonly log: (message: string) => void
}

/** What the setting `underlay` means; without one what this machine can have: `tap`, through which super-frames pass whole, else `udp`. */
export function makeUnderlay(setting: DaemonConfig['underlay'], world: UnderlayWorld): Underlay {
  const { native, stateDirectory, log } = world
  const make = { tap: () => new TapUnderlay({ native, stateDirectory, log }), udp: () => new UdpUnderlay({ native }) }
  return setting === '' ? new FirstUnderlay(make.tap(), make.udp, log) : make[setting]()
}

/** Puts back what a killed daemon's underlay left on the machine, whatever the setting is by now. */
export async function removeLeftUnderlay({ native, stateDirectory, log }: UnderlayWorld): Promise<void> {
  await new TapUnderlay({ native, stateDirectory })
    .removeLeft()
    .catch((error: Error) => log(`the rules of an earlier daemon for VXLAN are still there: ${error.message}`))
}

/** An underlay, and another one for hosts that cannot have it. */
class FirstUnderlay implements Underlay {
  private chosen: Underlay
  private readonly second: () => Underlay
  private readonly log: (message: string) => void

  constructor(first: Underlay, second: () => Underlay, log: (message: string) => void) {
    this.chosen = first
    this.second = second
    this.log = log
  }

  get kind(): Underlay['kind'] {
    return this.chosen.kind
  }

  async open(target: UnderlayTarget): Promise<UnderlayPart> {
    try {
      return await this.chosen.open(target)
    } catch (error) {
      const { kind } = this.chosen
      await this.chosen.close().catch(() => {}) // the first error says why
      this.chosen = this.second()
      const part = await this.chosen.open(target)
      this.log(`--underlay ${kind} is not possible here: ${(error as Error).message}; ${this.chosen.kind} it is`)
      return part
    }
  }

  close(): Promise<void> {
    return this.chosen.close()
  }
}

/**
 * The first of several uplinks that this machine can have: for a daemon that nobody told which.
 *
 * Until `start` it is none of them; afterwards it is the one that started, and asks nothing of the others.
 */
import { NetworkError } from '../network-error.ts'
import type { NetworkTap, Uplink, UplinkNetwork, UplinkPart, UplinkPort, UplinkWorld } from '../uplink.ts'

/** Makes an uplink that has not been started. May throw NetworkError. */
export type UplinkMaker = () => Uplink

export class FirstUplink implements Uplink {
  /** The best one first, by what they are called in `--uplink`. */
  private readonly candidates: readonly (readonly [name: string, make: UplinkMaker])[]
  private chosen: Uplink | null = null

  constructor(candidates: readonly (readonly [name: string, make: UplinkMaker])[]) {
    this.candidates = candidates
  }

  get kind(): Uplink['kind'] {
    return this.chosen?.kind ?? 'none'
  }

  /** Says through `world.log` why each that comes before the chosen one cannot be had. Rejects with the last one's error. */
  async start(world: UplinkWorld): Promise<UplinkPart | null> {
    for (const [at, [name, make]] of this.candidates.entries()) {
      let uplink: Uplink | undefined
      try {
        uplink = make()
        const part = await uplink.start(world)
        this.chosen = uplink
        return part
      } catch (error) {
        // What had been begun is put back before the next one tries.
        await uplink?.close().catch((unclean: Error) => world.log(unclean.message))
        const next = this.candidates[at + 1]?.[0]
        if (next === undefined || !(error instanceof NetworkError)) throw error
        world.log(refusal(name, error, next))
      }
    }
    throw new NetworkError('invalid', 'there is no uplink to choose from')
  }

  addNetwork(network: UplinkNetwork): Promise<NetworkTap | null> {
    return this.running().addNetwork(network)
  }

  removeNetwork(id: string): Promise<void> {
    return this.running().removeNetwork(id)
  }

  publish(ports: readonly UplinkPort[]): Promise<void> {
    return this.running().publish(ports)
  }

  unpublish(keys: readonly string[]): Promise<void> {
    return this.running().unpublish(keys)
  }

  obstacles(): readonly string[] {
    return this.chosen?.obstacles?.() ?? []
  }

  async close(): Promise<void> {
    await this.chosen?.close()
  }

  private running(): Uplink {
    if (this.chosen === null) throw new NetworkError('closed', 'the uplink has not been started')
    return this.chosen
  }
}

function refusal(name: string, { message, fix }: NetworkError, next: string): string {
  const cure = fix === undefined ? '' : `; to have it: ${fix.replaceAll('\n', ', ')}`
  return `the uplink '${name}' cannot be had here, '${next}' is taken in its place: ${message}${cure}; --uplink ${next} asks for this one`
}

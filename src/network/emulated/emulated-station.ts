/** A virtual host on a LAN of a lab: answers ARP, neighbor discovery and echo, and has UDP ports that send back. */
import type { VirtualHostOptions } from '../../stack/host-config.ts'
import type { EngineHost } from '../engine-host.ts'
import { cableWords } from './cable-words.ts'
import type { EmulatedCables } from './emulated-cables.ts'
import { macOf } from './emulated-interface.ts'
import type { EmulatedLan } from './emulated-lan.ts'

export interface StationOptions extends Omit<VirtualHostOptions, 'mac' | 'mtu' | 'resolver'> {
  readonly mac?: string
  /** Is told of its cable: `NAME/eth0`. */
  readonly cables?: EmulatedCables
}

/** Plugs it in; resolves with the name of its element. It has no resolver: no name service is on a LAN. */
export async function addStation(
  engine: EngineHost,
  name: string,
  lan: EmulatedLan,
  { cables, ...options }: StationOptions
): Promise<string> {
  const element = `station/${name}`
  const host: VirtualHostOptions = { ...options, mac: macOf(options.addresses, options.mac), mtu: lan.mtu, resolver: null }
  const port = lan.plug()
  try {
    await engine.patch({ elements: { [element]: { type: 'host', options: host } }, linked: [{ a: [element, 0], b: port }] })
  } catch (error) {
    lan.unplug(port)
    throw error
  }
  const words = cableWords({ end: 'station', lan })
  cables?.add({ name: `${name}/eth0`, lan, socket: port, station: [element, 0], mac: host.mac, addresses: host.addresses, words })
  return element
}

/**
 * Underlay `udp`: sockets of the host, see the README.
 */
import { interfaceSpeed } from '../../io/interface-speed.ts'
import type { NativeBinding } from '../../io/native-binding.ts'
import { openUdpUnderlay } from '../../io/udp-underlay-device.ts'
import type { Underlay, UnderlayPart, UnderlayTarget } from '../underlay.ts'
import { HostNamespace } from '../uplinks/host/host-namespace.ts'
import { underlayError } from './underlay-error.ts'
import { underlayLink } from './underlay-link.ts'

const ELEMENT = 'underlay/udp'
/** No frame with them is on any wire: the ends of a cable inside the engine. */
const OWN_MAC = '02:6e:6c:76:78:02'
const SOCKET_MAC = '02:6e:6c:76:78:03'

export interface UdpUnderlayOptions {
  readonly native: NativeBinding
  /** fd of the host's network namespace; default: the caller's own. */
  readonly netns?: number
}

export class UdpUnderlay implements Underlay {
  readonly kind = 'udp'
  private readonly host: HostNamespace

  constructor({ native, netns = -1 }: UdpUnderlayOptions) {
    this.host = new HostNamespace(native, netns)
  }

  async open({ address, port }: UnderlayTarget): Promise<UnderlayPart> {
    try {
      const link = await underlayLink(this.host, address)
      const speed = await interfaceSpeed(link)
      // The field for it has 16 bits; lo has one more.
      const options = { address, port, mac: OWN_MAC, nextHopMac: SOCKET_MAC, mtu: Math.min(link.mtu, 0xffff) }
      const sockets = openUdpUnderlay(this.host.native, this.host.fd, address, port)
      return {
        elements: { [ELEMENT]: { type: 'udp-underlay', options: { ...options, sockets } } },
        links: [],
        port: [ELEMENT, 0],
        mac: OWN_MAC,
        nextHopMac: SOCKET_MAC,
        mtu: options.mtu,
        ...(speed !== undefined && { speed }),
        address
      }
    } catch (error) {
      throw underlayError(error, 'the UDP underlay')
    }
  }

  /** The sockets are the engine's. */
  async close(): Promise<void> {}
}

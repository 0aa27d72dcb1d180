// The bridge-domain suite on an overlay whose VTEPs talk by UDP sockets: what leaves one host comes to the other through a kernel.
import { learningBridge } from '../../src/elements/bridge/learning-bridge.ts'
import { vxlanType } from '../../src/elements/vxlan/vxlan.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { udpUnderlayElement } from '../../src/io/udp-underlay-element.ts'
import { bridgeDomainSuite } from '../elements/bridge-domain-suite.ts'
import { overlay } from '../elements/vxlan/overlay.ts'

const native = tryLoadNative()
/** Other processes have another one, since a test run has several at once; below those that the kernel gives out. */
const PORT = 20_000 + (process.pid % 12_000)
const SENDERS = 4
/** Of lo: nobody else is asked for them. */
const ADDRESSES = ['127.0.50.1', '127.0.50.2'] as const
const SIDES = ['left', 'right'] as const

if (native !== null) {
  bridgeDomainSuite('overlay over UDP sockets', {
    types: [learningBridge, vxlanType, udpUnderlayElement] as unknown as ElementType<never>[],
    build: (ports, options) => {
      const { elements, links, edges } = overlay(ports, options, ADDRESSES, PORT)
      const underlays = SIDES.map((_, side) => ({
        type: 'udp-underlay',
        options: {
          sockets: native.openUdpUnderlay({ netns: -1, address: ADDRESSES[side], port: PORT, senders: SENDERS }),
          address: ADDRESSES[side],
          port: PORT,
          mac: `02:cc:00:00:01:0${side}`,
          nextHopMac: `02:cc:00:00:01:0${1 - side}`,
          mtu: 9070
        }
      }))
      return {
        elements: { ...elements, leftUdp: underlays[0], rightUdp: underlays[1] },
        // The cable between the VTEPs is the kernel.
        links: [
          ...links.filter(({ a }) => a[0] !== 'leftVtep'),
          { a: ['leftVtep', 0], b: ['leftUdp', 0] },
          { a: ['rightVtep', 0], b: ['rightUdp', 0] }
        ],
        edges
      }
    },
    overhead: 70,
    lacks: { oneTable: 'the two bridges have one each', inside: 'a kernel is between the VTEPs' }
  })
}

import { learningBridge } from '../../../src/elements/bridge/learning-bridge.ts'
import { vxlanType } from '../../../src/elements/vxlan/vxlan.ts'
import type { ElementType } from '../../../src/engine/element.ts'
import { bridgeDomainSuite } from '../bridge-domain-suite.ts'
import { overlay } from './overlay.ts'

// Two hosts with a bridge and a VTEP each, and a cable between the VTEPs: one domain, whatever the underlay.
for (const [name, addresses] of [
  ['IPv4', ['192.0.2.50', '192.0.2.51']],
  ['IPv6', ['2001:db8::50', '2001:db8::51']]
] as const) {
  bridgeDomainSuite(`overlay over ${name}`, {
    types: [learningBridge as ElementType<never>, vxlanType as ElementType<never>],
    build: (ports, options) => overlay(ports, options, addresses),
    overhead: 70,
    oneFdb: false
  })
}

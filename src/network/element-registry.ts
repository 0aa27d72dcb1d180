/**
 * Every kind of element that a netloom engine can make.
 */
import { captureElement } from '../capture/capture-element.ts'
import { dropCapture } from '../capture/drop-capture.ts'
import { filterFunction } from '../capture/filter/filter-function.ts'
import { dnsServiceType } from '../dns/dns-service.ts'
import { learningBridge } from '../elements/bridge/learning-bridge.ts'
import { dhcpClientType } from '../elements/dhcp-client/dhcp-client.ts'
import { divertType } from '../elements/divert/divert.ts'
import { dnsTapType } from '../elements/dns-tap/dns-tap.ts'
import { filterType } from '../elements/filter/filter.ts'
import { ipvlanType } from '../elements/ipvlan/ipvlan.ts'
import { macvlanType } from '../elements/macvlan/macvlan.ts'
import { natType } from '../elements/nat/nat.ts'
import { netemElement } from '../elements/netem/netem.ts'
import { probeType } from '../elements/probe/probe.ts'
import { routerType } from '../elements/router/router.ts'
import { vlanTrunkType } from '../elements/vlan/vlan-trunk.ts'
import { vxlanType } from '../elements/vxlan/vxlan.ts'
import { ElementRegistry } from '../engine/index.ts'
import { packetSocketElement } from '../io/packet-socket-element.ts'
import { replayElement } from '../io/replay-element.ts'
import { tapElement } from '../io/tap-element.ts'
import { udpUnderlayElement } from '../io/udp-underlay-element.ts'
import { virtualHostType } from '../stack/virtual-host.ts'

export function elementRegistry(): ElementRegistry {
  return new ElementRegistry()
    .register(learningBridge)
    .register(dnsTapType)
    .register(filterType)
    .register(divertType)
    .register(dhcpClientType)
    .register(natType)
    .register(netemElement(filterFunction))
    .register(probeType)
    .register(routerType)
    .register(vxlanType)
    .register(dnsServiceType)
    .register(virtualHostType)
    .register(tapElement)
    .register(replayElement)
    .register(packetSocketElement)
    .register(macvlanType)
    .register(ipvlanType)
    .register(vlanTrunkType)
    .register(udpUnderlayElement)
    .register(captureElement)
    .register(dropCapture)
}

/**
 * The fields that a pattern can name, layer by layer: where each is read, and what it can be compared with.
 */
import { ARP_SENDER_IP, ARP_SENDER_MAC, ARP_TARGET_IP, ARP_TARGET_MAC, ArpOperation, arpOperation, checkArp } from '../../wire/arp.ts'
import { get16 } from '../../wire/big-endian.ts'
import { ETHERNET_SOURCE, EtherType } from '../../wire/ethernet.ts'
import { ICMP_CODE, ICMP_HEADER_LENGTH, ICMP_ID, ICMP_SEQUENCE, ICMP_TYPE } from '../../wire/icmp.ts'
import {
  IPV4_DESTINATION,
  IPV4_SOURCE,
  IpProtocol,
  ipv4DontFragment,
  ipv4FragmentOffset,
  ipv4Id,
  ipv4MoreFragments,
  ipv4Tos,
  ipv4TotalLength,
  ipv4Ttl
} from '../../wire/ipv4.ts'
import { IPV6_DESTINATION, IPV6_SOURCE, ipv6FlowLabel, ipv6HopLimit, ipv6PayloadLength, ipv6TrafficClass } from '../../wire/ipv6.ts'
import { ABSENT, type PacketView } from '../../wire/packet-view.ts'
import {
  checkTcp,
  TcpFlag,
  tcpAcknowledgment,
  tcpDestinationPort,
  tcpFlags,
  tcpHeaderLength,
  tcpSequence,
  tcpSourcePort,
  tcpWindow
} from '../../wire/tcp.ts'
import { checkUdp, UDP_HEADER_LENGTH, udpDestinationPort, udpLength, udpSourcePort } from '../../wire/udp.ts'
import { DNS_RCODES, DNS_TYPES, dnsAt, dnsNameTest, dnsQuestionType, isDns } from './dns-fields.ts'
import { addressTest, type Check, type FieldTest, flagTest, macTest, numberTest, payloadTest } from './field-tests.ts'

export interface LayerFields {
  /** Whether the frame has the layer, whole: the fields' tests read it without another look. */
  readonly isPresent: Check
  readonly fields: Readonly<Record<string, FieldTest>>
}

const ETHERNET: LayerFields = {
  isPresent: (view) => view.networkAt !== ABSENT,
  fields: {
    src: macTest(({ frameAt }) => frameAt + ETHERNET_SOURCE),
    dst: macTest(({ frameAt }) => frameAt),
    type: numberTest(({ etherType }) => etherType),
    vlan: numberTest(({ vlan }) => vlan),
    length: numberTest(({ frameAt, frameEnd }) => frameEnd - frameAt)
  }
}

const ARP: LayerFields = {
  isPresent: ({ etherType, bytes, networkAt, end }) => etherType === EtherType.arp && checkArp(bytes, networkAt, end),
  fields: {
    operation: numberTest(({ bytes, networkAt }) => arpOperation(bytes, networkAt), ArpOperation),
    senderMac: macTest(({ networkAt }) => networkAt + ARP_SENDER_MAC),
    senderIp: addressTest(({ networkAt }) => networkAt + ARP_SENDER_IP, 4),
    targetMac: macTest(({ networkAt }) => networkAt + ARP_TARGET_MAC),
    targetIp: addressTest(({ networkAt }) => networkAt + ARP_TARGET_IP, 4)
  }
}

const PROTOCOLS = { icmp: IpProtocol.icmp, tcp: IpProtocol.tcp, udp: IpProtocol.udp, icmpv6: IpProtocol.icmpv6 }

const IPV4: LayerFields = {
  isPresent: ({ family }) => family === 4,
  fields: {
    src: addressTest(({ networkAt }) => networkAt + IPV4_SOURCE, 4),
    dst: addressTest(({ networkAt }) => networkAt + IPV4_DESTINATION, 4),
    ttl: numberTest(({ bytes, networkAt }) => ipv4Ttl(bytes, networkAt)),
    protocol: numberTest(({ protocol }) => protocol, PROTOCOLS),
    tos: numberTest(({ bytes, networkAt }) => ipv4Tos(bytes, networkAt)),
    id: numberTest(({ bytes, networkAt }) => ipv4Id(bytes, networkAt)),
    length: numberTest(({ bytes, networkAt }) => ipv4TotalLength(bytes, networkAt)),
    dontFragment: flagTest(({ bytes, networkAt }) => ipv4DontFragment(bytes, networkAt)),
    moreFragments: flagTest(({ bytes, networkAt }) => ipv4MoreFragments(bytes, networkAt)),
    fragmentOffset: numberTest(({ bytes, networkAt }) => ipv4FragmentOffset(bytes, networkAt))
  }
}

const IPV6: LayerFields = {
  isPresent: ({ family }) => family === 6,
  fields: {
    src: addressTest(({ networkAt }) => networkAt + IPV6_SOURCE, 16),
    dst: addressTest(({ networkAt }) => networkAt + IPV6_DESTINATION, 16),
    hopLimit: numberTest(({ bytes, networkAt }) => ipv6HopLimit(bytes, networkAt)),
    protocol: numberTest(({ protocol }) => protocol, PROTOCOLS),
    trafficClass: numberTest(({ bytes, networkAt }) => ipv6TrafficClass(bytes, networkAt)),
    flowLabel: numberTest(({ bytes, networkAt }) => ipv6FlowLabel(bytes, networkAt)),
    payloadLength: numberTest(({ bytes, networkAt }) => ipv6PayloadLength(bytes, networkAt))
  }
}

const ICMP: LayerFields = {
  isPresent: (view) => carries(view, IpProtocol.icmp, 4) && view.transportAt + ICMP_HEADER_LENGTH <= view.end,
  fields: icmpFields()
}

const ICMPV6: LayerFields = {
  isPresent: (view) => carries(view, IpProtocol.icmpv6, 6) && view.transportAt + ICMP_HEADER_LENGTH <= view.end,
  fields: icmpFields()
}

/** Type, code, id and sequence number stand at the same places in both. */
function icmpFields(): LayerFields['fields'] {
  return {
    type: numberTest(({ bytes, transportAt }) => bytes[transportAt + ICMP_TYPE]),
    code: numberTest(({ bytes, transportAt }) => bytes[transportAt + ICMP_CODE]),
    id: numberTest(({ bytes, transportAt }) => get16(bytes, transportAt + ICMP_ID)),
    sequence: numberTest(({ bytes, transportAt }) => get16(bytes, transportAt + ICMP_SEQUENCE))
  }
}

const UDP: LayerFields = {
  isPresent: (view) => carries(view, IpProtocol.udp) && checkUdp(view.bytes, view.transportAt, view.end),
  fields: {
    srcPort: numberTest(({ bytes, transportAt }) => udpSourcePort(bytes, transportAt)),
    dstPort: numberTest(({ bytes, transportAt }) => udpDestinationPort(bytes, transportAt)),
    length: numberTest(({ bytes, transportAt }) => udpLength(bytes, transportAt)),
    payload: payloadTest(
      ({ transportAt }) => transportAt + UDP_HEADER_LENGTH,
      ({ end }) => end
    )
  }
}

const tcpFlag = (bit: number): FieldTest => flagTest(({ bytes, transportAt }) => (tcpFlags(bytes, transportAt) & bit) !== 0)

const TCP: LayerFields = {
  isPresent: (view) => carries(view, IpProtocol.tcp) && checkTcp(view.bytes, view.transportAt, view.end),
  fields: {
    srcPort: numberTest(({ bytes, transportAt }) => tcpSourcePort(bytes, transportAt)),
    dstPort: numberTest(({ bytes, transportAt }) => tcpDestinationPort(bytes, transportAt)),
    sequence: numberTest(({ bytes, transportAt }) => tcpSequence(bytes, transportAt) >>> 0),
    acknowledgment: numberTest(({ bytes, transportAt }) => tcpAcknowledgment(bytes, transportAt) >>> 0),
    window: numberTest(({ bytes, transportAt }) => tcpWindow(bytes, transportAt)),
    syn: tcpFlag(TcpFlag.syn),
    ack: tcpFlag(TcpFlag.ack),
    fin: tcpFlag(TcpFlag.fin),
    rst: tcpFlag(TcpFlag.rst),
    psh: tcpFlag(TcpFlag.psh),
    payload: payloadTest(
      ({ bytes, transportAt }) => transportAt + tcpHeaderLength(bytes, transportAt),
      ({ end }) => end
    )
  }
}

const DNS: LayerFields = {
  isPresent: isDns,
  fields: {
    id: numberTest((view) => get16(view.bytes, dnsAt(view))),
    response: flagTest((view) => (view.bytes[dnsAt(view) + 2] & 0x80) !== 0),
    rcode: numberTest((view) => view.bytes[dnsAt(view) + 3] & 0xf, DNS_RCODES),
    answers: numberTest((view) => get16(view.bytes, dnsAt(view) + 6)),
    type: numberTest(dnsQuestionType, DNS_TYPES),
    name: dnsNameTest
  }
}

function carries(view: PacketView, wanted: number, ofFamily: number = view.family): boolean {
  return view.protocol === wanted && view.hasTransport && view.family === ofFamily
}

export const LAYERS = { ethernet: ETHERNET, arp: ARP, ipv4: IPV4, ipv6: IPV6, icmp: ICMP, icmpv6: ICMPV6, udp: UDP, tcp: TCP, dns: DNS }

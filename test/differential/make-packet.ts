/** A step as the bytes of a frame. What was sent depends on the gateway only where a far end answers what it saw. */
import { parseMac } from '../../src/wire/address.ts'
import { put16, put32 } from '../../src/wire/big-endian.ts'
import { checksum, fillTransport } from '../../src/wire/checksum.ts'
import { emitIpv4, fillIpv4Checksum } from '../../src/wire/ipv4.ts'
import { checksumOffset } from '../fuzz/frame-layout.ts'
import type { Body, Edit, Flow, Party, Step, Stream } from './stream.ts'
import { DEFAULT_VIA, INTERFACES, stationMac } from './world.ts'

const ETHERNET = 14
const IPV4 = 20

/** What the ends of a flow know of each other by what came out of the gateway. */
export interface FlowView {
  /** Whom the server saw; null: nobody yet. */
  seen: { address: string; port: number } | null
  /** The last IP packet that each end got, from its first byte. */
  readonly received: { client: Uint8Array | null; server: Uint8Array | null }
}

export function noView(): FlowView {
  return { seen: null, received: { client: null, server: null } }
}

/** The frame of a step, and the interface by which it comes in. */
export function makeFrame(stream: Stream, step: Step, view: FlowView): { interface: number; bytes: Uint8Array } {
  const flow = stream.flows[step.flow]
  const ends = endsOf(flow, step, view)
  const interfaceNumber = step.interface ?? flow[step.from].interface
  const packet = finished(makePacket(flow, step, ends, view), step)
  const gateway = INTERFACES[interfaceNumber]
  const bytes = new Uint8Array(Math.max(ETHERNET, ETHERNET + packet.length - (step.cut ?? 0)))
  bytes.set(packet.subarray(0, bytes.length - ETHERNET), ETHERNET)
  putMac(bytes, 0, gateway.mac)
  putMac(bytes, 6, stationMac(onLink(ends.source.address, interfaceNumber) ? ends.source.address : DEFAULT_VIA))
  put16(bytes, 12, 0x0800)
  return { interface: interfaceNumber, bytes }
}

interface Ends {
  readonly source: { address: string; port: number }
  readonly destination: { address: string; port: number }
}

/** The packet of a step as its sender means it: whole, unbroken. */
function makePacket(flow: Flow, step: Step, ends: Ends, view: FlowView): Uint8Array {
  const { body } = step
  const payload = makePayload(flow, step, ends, view)
  const options = Buffer.from(step.options ?? '', 'hex')
  const bytes = new Uint8Array(IPV4 + options.length + payload.length)
  const protocol = body.kind === 'error' ? 1 : flow.protocol
  emitIpv4(
    {
      source: ends.source.address,
      destination: ends.destination.address,
      protocol,
      payloadLength: payload.length,
      ttl: step.ttl,
      tos: step.tos,
      id: step.id,
      dontFragment: step.dontFragment,
      options
    },
    bytes,
    0
  )
  bytes.set(payload, IPV4 + options.length)
  fillChecksum(bytes, protocol, body)
  return bytes
}

function makePayload(flow: Flow, step: Step, ends: Ends, view: FlowView): Uint8Array {
  const { body } = step
  switch (body.kind) {
    case 'tcp': {
      const options = Buffer.from(body.options ?? '', 'hex')
      const head = 20 + options.length
      const bytes = filled(head, body.length ?? 0, step.id)
      putPorts(bytes, ends)
      put32(bytes, 4, body.seq)
      put32(bytes, 8, body.ack)
      bytes[12] = (head >> 2) << 4
      bytes[13] = body.flags
      put16(bytes, 14, body.window ?? 64_240)
      bytes.set(options, 20)
      return bytes
    }
    case 'udp': {
      const bytes = filled(8, body.length, step.id)
      putPorts(bytes, ends)
      put16(bytes, 4, bytes.length)
      return bytes
    }
    case 'query': {
      const bytes = filled(8, body.length, step.id)
      bytes[0] = body.type
      bytes[1] = body.code ?? 0
      put16(bytes, 4, step.from === 'client' ? ends.source.port : ends.destination.port)
      put16(bytes, 6, body.sequence)
      return bytes
    }
    case 'error': {
      const quoted = (view.received[step.from] ?? guess(flow, step.from, ends)).slice(0, body.quote)
      applyEdits(quoted, body.edits)
      const bytes = new Uint8Array(8 + quoted.length)
      bytes[0] = body.type
      bytes[1] = body.code
      put32(bytes, 4, body.rest)
      bytes.set(quoted, 8)
      return bytes
    }
    case 'other':
      return filled(0, body.length, step.id)
  }
}

function endsOf(flow: Flow, step: Step, view: FlowView): Ends {
  const toServer = step.from === 'client'
  // A server that saw nobody answers whom it would have seen without a gateway's choice.
  const seen = view.seen ?? { address: guessedSource(flow), port: flow.client.port }
  const source = toServer ? flow.client : flow.server
  const destination = toServer ? flow.to : seen
  return {
    source: { address: step.source?.address ?? source.address, port: step.source?.port ?? source.port },
    destination: { address: step.destination?.address ?? destination.address, port: step.destination?.port ?? destination.port }
  }
}

function guessedSource({ client, server }: Flow): string {
  return INTERFACES[client.interface].role === 'network' ? INTERFACES[server.interface].address : client.address
}

/** What an end would have got, had something come: for errors about nothing. */
function guess(flow: Flow, from: Party, ends: Ends): Uint8Array {
  const bytes = new Uint8Array(IPV4 + 8)
  const other = { source: ends.destination, destination: ends.source }
  emitIpv4(
    { source: other.source.address, destination: other.destination.address, protocol: flow.protocol, payloadLength: 8, ttl: 63 },
    bytes,
    0
  )
  if (flow.protocol === 1) {
    bytes[IPV4] = from === 'server' ? 8 : 0
    put16(bytes, IPV4 + 4, flow.client.port)
  } else {
    put16(bytes, IPV4, other.source.port)
    put16(bytes, IPV4 + 2, other.destination.port)
    put16(bytes, IPV4 + 4, 8)
  }
  return bytes
}

/** The part that a fragment carries, then what is done to it on the way. */
function finished(whole: Uint8Array, step: Step): Uint8Array {
  const head = 4 * (whole[0] & 15)
  let bytes = whole
  if (step.fragment !== undefined) {
    const { offset, length, more } = step.fragment
    bytes = Uint8Array.from([...whole.subarray(0, head), ...whole.subarray(head + offset, head + offset + length)])
    put16(bytes, 2, bytes.length)
    put16(bytes, 6, (more ? 0x2000 : 0) | (offset >> 3))
    fillIpv4Checksum(bytes, 0)
  }
  applyEdits(bytes, step.edits)
  if (step.repair) {
    const { body } = step
    if (step.fragment === undefined) fillChecksum(bytes, bytes[9], body)
    if ((bytes[0] & 15) >= 5 && 4 * (bytes[0] & 15) <= bytes.length) fillIpv4Checksum(bytes, 0)
  }
  return bytes
}

function fillChecksum(bytes: Uint8Array, protocol: number, body: Body): void {
  const at = 4 * (bytes[0] & 15)
  const field = at + checksumOffset(protocol)
  if (field < at || at < IPV4 || field + 2 > bytes.length) return
  if (protocol === 1) {
    put16(bytes, field, 0)
    put16(bytes, field, checksum(bytes, at, bytes.length - at))
  } else if (body.kind === 'udp' && body.noChecksum) put16(bytes, field, 0)
  else fillTransport(bytes, at, bytes.length, 0, protocol, field)
}

function applyEdits(bytes: Uint8Array, edits: readonly Edit[] = []): void {
  for (const { at, xor } of edits) if (at < bytes.length) bytes[at] ^= xor
}

/** A header of zeros and a payload whose bytes tell where they belong. */
function filled(head: number, length: number, id: number): Uint8Array {
  const bytes = new Uint8Array(head + length)
  for (let i = 0; i < length; i++) bytes[head + i] = id + 7 * i
  return bytes
}

function putPorts(bytes: Uint8Array, { source, destination }: Ends): void {
  put16(bytes, 0, source.port)
  put16(bytes, 2, destination.port)
}

function putMac(bytes: Uint8Array, at: number, text: string): void {
  const { hi, lo } = parseMac(text)
  put16(bytes, at, hi)
  put32(bytes, at + 2, lo)
}

function onLink(address: string, number: number): boolean {
  return address.startsWith(INTERFACES[number].subnet.slice(0, INTERFACES[number].subnet.lastIndexOf('.') + 1))
}

import type { ElementContext } from '../engine/element.ts'
import { type FrameHandle, NO_FRAME } from '../engine/frame-pool.ts'
import { put16, put32 } from '../wire/big-endian.ts'
import { isGroup } from '../wire/ethernet.ts'
import { IpProtocol } from '../wire/ipv4.ts'
import type { PacketView } from '../wire/packet-view.ts'
import {
  checkTcp,
  TCP_CHECKSUM,
  TCP_HEADER_LENGTH,
  TcpFlag,
  tcpAcknowledgment,
  tcpDestinationPort,
  tcpFlags,
  tcpHeaderLength,
  tcpSequence,
  tcpSourcePort
} from '../wire/tcp.ts'
import { buildPacket, hasGoodChecksum, replyPath } from './ip-packet.ts'
import { StackDrop } from './stack-drop.ts'

const segment = new Uint8Array(TCP_HEADER_LENGTH)

/**
 * Refuses a segment that belongs to no connection, RFC 9293 section 3.5.2 group 1: takes the frame and sends a reset,
 * except in answer to a reset.
 */
export function answerWithReset(
  context: ElementContext,
  frame: FrameHandle,
  packet: PacketView,
  transmit: (reset: FrameHandle) => void
): void {
  const { bytes, transportAt, end, frameAt: at } = packet
  if (!checkTcp(bytes, transportAt, end)) return context.drop(frame, StackDrop.malformed)
  if (!hasGoodChecksum(packet, context.frames.flags[frame])) return context.drop(frame, StackDrop.badChecksum)
  const flags = tcpFlags(bytes, transportAt)
  if ((flags & TcpFlag.rst) !== 0 || isGroup(bytes, at)) return context.drop(frame, StackDrop.unexpected)
  const hasAck = (flags & TcpFlag.ack) !== 0
  const length = end - transportAt - tcpHeaderLength(bytes, transportAt)
  const consumed = length + ((flags & TcpFlag.syn) !== 0 ? 1 : 0) + ((flags & TcpFlag.fin) !== 0 ? 1 : 0)
  put16(segment, 0, tcpDestinationPort(bytes, transportAt))
  put16(segment, 2, tcpSourcePort(bytes, transportAt))
  put32(segment, 4, hasAck ? tcpAcknowledgment(bytes, transportAt) : 0)
  put32(segment, 8, hasAck ? 0 : tcpSequence(bytes, transportAt) + consumed)
  segment[12] = (TCP_HEADER_LENGTH / 4) << 4
  segment[13] = hasAck ? TcpFlag.rst : TcpFlag.rst | TcpFlag.ack
  put32(segment, 14, 0) // window and checksum
  put16(segment, 18, 0)
  const reset = buildPacket(context, replyPath(packet), IpProtocol.tcp, segment, 0, TCP_HEADER_LENGTH, TCP_CHECKSUM)
  context.drop(frame, StackDrop.portClosed)
  if (reset !== NO_FRAME) transmit(reset)
}

import { readdirSync } from 'node:fs'
import path from 'node:path'
import { readCapture } from '../../src/capture/read-capture.ts'
import { FrameFlag } from '../../src/engine/frame-pool.ts'
import { GsoType } from '../../src/io/segment.ts'
import { checksumOffset, layoutOf } from './frame-layout.ts'
import { FuzzFrame } from './fuzz-frame.ts'

const SEEDS = path.join(import.meta.dirname, '../../../test/fuzz/seeds')
const MSS = 1448

/** The frames of test/fuzz/seeds by capture, in the order of file names, with offload fields where a TAP would give them. */
export function seedFrames(folder = SEEDS): FuzzFrame[][] {
  const files = readdirSync(folder).filter((file) => file.endsWith('.pcap'))
  return files.sort().map((file) =>
    Array.from(readCapture(path.join(folder, file)), ({ data }) => {
      const frame = new FuzzFrame()
      frame.set(data)
      if (data.length > 1518) asSuperFrame(frame)
      return frame
    })
  )
}

/** What the vnet header of a super-frame says; a capture file has no place for it. TCP and UDP only. */
export function asSuperFrame(frame: FuzzFrame): void {
  const layout = layoutOf(frame.view, frame.length, { ip: -1, version: 0, transport: -1, protocol: -1, arp: -1 })
  const { transport, version, protocol } = layout
  if (transport < 0 || (protocol !== 6 && protocol !== 17)) return
  const tcp = protocol === 6
  frame.flags = FrameFlag.csum | FrameFlag.gso
  frame.gsoType = tcp ? (version === 4 ? GsoType.tcp4 : GsoType.tcp6) : GsoType.udpSegments
  frame.gsoSize = MSS
  frame.csumStart = transport
  frame.csumOffset = checksumOffset(protocol)
  frame.hdrLen = transport + (tcp ? 4 * (frame.view.getUint8(transport + 12) >> 4) : 8)
}

/**
 * What a capture filter costs for a frame: the generated function over a mix of frames in one chunk.
 */
import { compileFilter } from '../src/capture/filter/compile-filter.ts'
import { filterFunction } from '../src/capture/filter/filter-function.ts'

/** Frames of the mix; a power of two. More than a branch predictor learns by heart. */
const FRAMES = 8192
const SLOT = 128

/** The loop of the micro suite: `count` frames, one after the other, half of them TCP, half UDP, one in sixteen to port 53. */
export function filterLoop(filter: string): (count: number) => number {
  const takes = filterFunction(compileFilter(filter))
  const bytes = new Uint8Array(FRAMES * SLOT)
  for (let i = 0; i < FRAMES; i++) writeFrame(bytes, i * SLOT, Math.imul(i, 0x9e3779b1) >>> 8)
  return (count) => {
    let taken = 0
    for (let i = 0; i < count; i++) if (takes(bytes, (i & (FRAMES - 1)) * SLOT, 64) > 0) taken++
    return taken
  }
}

/** Ethernet and IPv4 from 10.1.x.y; `draw` says what it is. */
function writeFrame(bytes: Uint8Array, at: number, draw: number): void {
  const view = new DataView(bytes.buffer, at, SLOT)
  const isTcp = (draw & 1) === 0
  view.setUint32(2, 0x00000001)
  view.setUint32(8, 0x00000002)
  view.setUint16(12, 0x0800)
  view.setUint8(14, 0x45)
  view.setUint16(16, 50)
  view.setUint8(22, 64)
  view.setUint8(23, isTcp ? 6 : 17)
  view.setUint32(26, 0x0a010000 | (draw & 0xffff))
  view.setUint32(30, 0xc0000201 | 0)
  view.setUint16(34, 1024 + (draw & 0x3fff))
  view.setUint16(36, !isTcp && (draw & 14) === 0 ? 53 : 8080)
  view.setUint8(47, 0x10)
}

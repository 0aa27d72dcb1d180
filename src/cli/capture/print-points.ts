import type { CapturePointRow, CaptureStatus } from '../../api/capture-backend.ts'
import { humanSize } from '../docker/human-units.ts'
import type { Output } from '../output.ts'

/** Where frames can be captured, and the captures that run. */
export function printPoints(points: readonly CapturePointRow[], captures: readonly CaptureStatus[], output: Output): void {
  output.result({ points, captures })
  output.table(
    ['POINT', 'KIND', 'MAC', 'ADDRESSES', 'DESCRIPTION'],
    points.map(({ name, kind, mac, addresses, description }) => [name, kind, mac ?? '', addresses.join(', '), description])
  )
  if (captures.length === 0) return
  output.line()
  output.table(
    ['CAPTURE', 'TARGETS', 'FILTER', 'FORMAT', 'FRAMES', 'DROPPED', 'SIZE'],
    captures.map(({ id, targets, filter, format, frames, dropped, bytes }) => [
      id,
      targets.join(', ') || 'all',
      filter,
      format,
      String(frames),
      String(dropped),
      humanSize(bytes)
    ]),
    [4, 5, 6]
  )
}

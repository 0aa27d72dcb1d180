/** Frames that the probe saw, in words. */
import { frameText } from '../../decode/frame-text.ts'
import type { ProbedFrame } from '../../elements/probe/recent-frames.ts'

/** A frame on the link of an endpoint. */
export interface SeenFrame {
  /** Nanoseconds since the lab's start. */
  readonly time: number
  /** `network/endpoint` whose link it was on. */
  readonly at: string
  /** From the endpoint, or to it. */
  readonly way: 'out' | 'in'
  readonly bytes: Uint8Array
  /** The frame as tcpdump would print it. */
  readonly text: string
}

export function seenFrame({ time, slot, way, bytes }: ProbedFrame, nameOf: (slot: number) => string): SeenFrame {
  return { time, at: nameOf(slot), way, bytes, text: textOf(bytes) }
}

/**
 * The last frames as lines, one for each frame however many links it was on: `0.002 s  lan/a > lan/b  192.0.2.2 > 192.0.2.3: ICMP ...`.
 * @param note what is said behind the frame, of the crossing where it was seen first
 */
export function frameLines(
  recent: readonly ProbedFrame[],
  nameOf: (slot: number) => string,
  count: number,
  note: (frame: ProbedFrame) => string
): string[] {
  const walks = new Map<number, ProbedFrame[]>()
  for (const frame of recent) {
    const walk = walks.get(frame.packetId)
    if (walk === undefined) walks.set(frame.packetId, [frame])
    else walk.push(frame)
  }
  const rows = [...walks.values()].slice(-count).map((walk) => {
    const fate = walk.find((frame) => frame.fate !== 'passed')?.fate
    return [
      `${(walk[0].time / 1e9).toFixed(6)} s`,
      wayText(walk, nameOf),
      `${textOf(walk[0].bytes, walk[0].length)}${fate === undefined ? '' : ` [${fate}]`}`,
      note(walk[0])
    ]
  })
  const widths = [0, 1, 2].map((column) => Math.max(0, ...rows.map((row) => row[column].length)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  )
}

function wayText(walk: readonly ProbedFrame[], nameOf: (slot: number) => string): string {
  const from = walk.filter(({ way }) => way === 'out').map(({ slot }) => nameOf(slot))
  const to = walk.filter(({ way }) => way === 'in').map(({ slot }) => nameOf(slot))
  const receivers = to.length > 2 ? `${to.length} endpoints` : to.join(', ')
  return `${from[0] ?? ''} > ${receivers}`.trim()
}

function textOf(bytes: Uint8Array, length = bytes.length): string {
  return frameText(bytes, 0, bytes.length, { length })
}

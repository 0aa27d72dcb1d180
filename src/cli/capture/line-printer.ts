import type { CapturePiece } from '../../capture/capture-cutter.ts'
import type { CapturedFrame } from '../../capture/capture-reader.ts'
import { CaptureStream } from '../../capture/capture-stream.ts'
import { frameText } from '../../decode/frame-text.ts'
import { TcpSequences } from '../../decode/tcp-sequences.ts'
import type { TextStream } from '../terminal.ts'
import type { CaptureDestination } from './capture-session.ts'
import { writeAll } from './write-all.ts'

const DIRECTIONS = ['', 'In', 'Out', ''] as const
/** Of an interface's name: it gets wider with a longer one. */
const NARROWEST = 8

/** One line for each frame, as tcpdump on all interfaces prints them; with `json` one document a line. */
export class LinePrinter implements CaptureDestination {
  readonly room = Number.POSITIVE_INFINITY
  private readonly output: TextStream
  private readonly json: boolean
  private readonly stream = new CaptureStream()
  private readonly sequences = new TcpSequences()
  private width = NARROWEST

  constructor(output: TextStream, json: boolean) {
    this.output = output
    this.json = json
  }

  write({ bytes }: CapturePiece): void | Promise<void> {
    let lines = ''
    for (const frame of this.stream.push(bytes)) lines += `${this.json ? this.document(frame) : this.line(frame)}\n`
    if (lines !== '') return writeAll(this.output, lines)
  }

  close(): void {}

  /** '12:00:00.123456 lan/web  In  IP 192.0.2.1 > 192.0.2.2: ICMP echo request, id 1, seq 1, length 64' */
  private line(frame: CapturedFrame): string {
    const name = this.interfaceOf(frame)
    this.width = Math.max(this.width, name.length)
    const direction = DIRECTIONS[(frame.flags ?? 0) & 3]!.padEnd(3)
    return `${timeOfDay(frame.timestampNs)} ${name.padEnd(this.width)} ${direction} ${this.text(frame)}${remark(frame)}`
  }

  private document(frame: CapturedFrame): string {
    const direction = DIRECTIONS[(frame.flags ?? 0) & 3]!.toLowerCase()
    return JSON.stringify({
      time: rfc3339(frame.timestampNs),
      interface: this.interfaceOf(frame),
      ...(direction !== '' && { direction }),
      length: frame.originalLength,
      captured: frame.data.length,
      ...(frame.packetId !== undefined && { packetId: Number(frame.packetId) }),
      ...(frame.verdict !== undefined && { dropped: true }),
      ...(frame.comment !== undefined && { comment: frame.comment }),
      text: this.text(frame)
    })
  }

  private text({ data, originalLength }: CapturedFrame): string {
    return frameText(data, 0, data.length, { length: originalLength, sequences: this.sequences })
  }

  private interfaceOf({ interface: index }: CapturedFrame): string {
    return this.stream.reader?.interfaces[index]?.name ?? `#${index}`
  }
}

/** The engine gives a verdict only to frames that it drops; the reason is the comment. */
function remark({ verdict, comment }: CapturedFrame): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach the terminal
  const words = comment?.replace(/[\x00-\x1f\x7f]+/g, ' ') ?? ''
  if (words !== '') return ` [${verdict === undefined || words.startsWith('dropped') ? '' : 'dropped: '}${words}]`
  return verdict === undefined ? '' : ' [dropped]'
}

/** Local time, microseconds. */
function timeOfDay(ns: bigint): string {
  const date = new Date(Number(ns / 1_000_000n))
  const [hours, minutes, seconds] = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0'))
  return `${hours}:${minutes}:${seconds}.${String((ns / 1000n) % 1_000_000n).padStart(6, '0')}`
}

/** UTC, nanoseconds. */
function rfc3339(ns: bigint): string {
  const seconds = new Date(Number(ns / 1_000_000_000n) * 1000).toISOString().slice(0, 19)
  return `${seconds}.${String(ns % 1_000_000_000n).padStart(9, '0')}Z`
}

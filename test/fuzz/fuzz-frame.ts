import { FrameFlag, LARGE_CAPACITY } from '../../src/engine/frame-pool.ts'

/** A frame on its way into the network under test, with what a vnet header says of it. Used again for every frame. */
export class FuzzFrame {
  readonly bytes = new Uint8Array(LARGE_CAPACITY)
  readonly view = new DataView(this.bytes.buffer)
  length = 0
  /** FrameFlag bits: csum, csumValid, gso. */
  flags = 0
  gsoType = 0
  gsoSize = 0
  hdrLen = 0
  csumStart = 0
  csumOffset = 0

  set(bytes: Uint8Array): void {
    this.bytes.set(bytes)
    this.length = bytes.length
    this.plain()
  }

  /** Without offload fields. */
  plain(): void {
    this.flags = this.gsoType = this.gsoSize = this.hdrLen = this.csumStart = this.csumOffset = 0
  }

  /** Copies the offload fields and the first bytes that are valid. */
  copyFrom(other: FuzzFrame): void {
    this.set(other.bytes.subarray(0, other.length))
    this.flags = other.flags
    this.gsoType = other.gsoType
    this.gsoSize = other.gsoSize
    this.hdrLen = other.hdrLen
    this.csumStart = other.csumStart
    this.csumOffset = other.csumOffset
  }

  /** One line of a fixture: what `parse` reads. */
  format(): string {
    const { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset } = this
    const fields = flags === 0 ? '-' : [flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset].join(',')
    return `${fields} ${Buffer.from(this.bytes.subarray(0, this.length)).toString('hex')}`
  }

  /** Reads `- HEX` or `flags,gsoType,gsoSize,hdrLen,csumStart,csumOffset HEX`. */
  parse(line: string): void {
    const [fields, hex = ''] = line.split(' ')
    this.set(Buffer.from(hex, 'hex'))
    if (fields === '-') return
    const [flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset] = fields.split(',').map(Number)
    Object.assign(this, { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset })
  }
}

/** The bits that a cable carries. */
export const CABLE_FLAGS = FrameFlag.csum | FrameFlag.csumValid | FrameFlag.gso

/** Walks a little-endian pcapng file by draft-ietf-opsawg-pcapng alone: shares nothing with the writer or the readers, so that both cannot err alike. */
import assert from 'node:assert/strict'

export interface WalkedBlock {
  readonly type: number
  readonly body: Buffer
  /** Values by code, in their order. */
  readonly options: ReadonlyMap<number, readonly Buffer[]>
}

export const BlockType = { section: 0x0a0d0d0a, interface: 1, names: 4, statistics: 5, packet: 6 } as const

/** Every length is checked: of blocks at both ends, of options and their padding, to the last byte of the file. */
export function walkBlocks(file: Buffer): WalkedBlock[] {
  const blocks: WalkedBlock[] = []
  for (let at = 0; at < file.length; ) {
    const type = file.readUInt32LE(at)
    const length = file.readUInt32LE(at + 4)
    assert.ok(length >= 12 && length % 4 === 0 && at + length <= file.length, `block of ${length} bytes at ${at}`)
    assert.equal(file.readUInt32LE(at + length - 4), length, `the block at ${at} has two lengths`)
    const body = file.subarray(at + 8, at + length - 4)
    blocks.push({ type, body, options: walkOptions(body, optionsAt(type, body)) })
    at += length
  }
  return blocks
}

/** Where a block's options begin in its body. */
function optionsAt(type: number, body: Buffer): number {
  if (type === BlockType.section) return 16
  if (type === BlockType.interface) return 8
  if (type === BlockType.statistics) return 12
  if (type === BlockType.packet) return 20 + padded(body.readUInt32LE(12))
  assert.equal(type, BlockType.names, `a block of type ${type}`)
  for (let at = 0; ; ) {
    const record = body.readUInt16LE(at)
    at += 4 + padded(body.readUInt16LE(at + 2))
    if (record === 0) return at
  }
}

function walkOptions(body: Buffer, from: number): Map<number, Buffer[]> {
  const options = new Map<number, Buffer[]>()
  let at = from
  let isEnded = at === body.length
  while (at < body.length) {
    assert.ok(!isEnded, 'nothing comes after opt_endofopt')
    const code = body.readUInt16LE(at)
    const length = body.readUInt16LE(at + 2)
    assert.ok(at + 4 + padded(length) <= body.length, `option ${code} of ${length} bytes leaves its block`)
    for (let zero = at + 4 + length; zero < at + 4 + padded(length); zero++) assert.equal(body[zero], 0, 'padding')
    if (code === 0) isEnded = length === 0
    else options.set(code, [...(options.get(code) ?? []), body.subarray(at + 4, at + 4 + length)])
    at += 4 + padded(length)
  }
  assert.ok(isEnded && at === body.length, 'options end with opt_endofopt, at the end of the block')
  return options
}

function padded(length: number): number {
  return (length + 3) & ~3
}

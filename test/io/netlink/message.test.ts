import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Random } from '../../../src/engine/random.ts'
import { NetlinkConnection } from '../../../src/io/netlink/connection.ts'
import { readAttributes, readError, readMessages, textOf } from '../../../src/io/netlink/message-reader.ts'
import { LITTLE_ENDIAN, MessageWriter } from '../../../src/io/netlink/message-writer.ts'
import { Netlink } from '../../../src/io/netlink/netlink.ts'

const le = { skip: !LITTLE_ENDIAN && 'bytes are given for a little-endian machine' }

describe('netlink messages', () => {
  test('attributes are padded, nested ones have the length of what is in them', le, () => {
    const bytes = new MessageWriter(16, 0x605, 7)
      .u8(0)
      .u8(0)
      .u16(0)
      .u32(3)
      .u32(1)
      .u32(1)
      .attributeText(3, 'veth0')
      .nested(18, (writer) => writer.attributeText(1, 'br').attributeU32(2, 0x01020304))
      .finish()
    assert.equal(
      Buffer.from(bytes)
        .toString('hex')
        .replace(/(.{8})/g, '$1 ')
        .trim(),
      [
        '40000000 10000506 07000000 00000000', // header
        '00000000 03000000 01000000 01000000', // ifinfomsg
        '0a000300 76657468 30000000', // IFLA_IFNAME, 6 bytes and padding
        '14001280 07000100 62720000 08000200 04030201' // nested
      ].join(' ')
    )
  })

  test('a message grows over its first buffer', () => {
    const payload = new Uint8Array(5000).fill(7)
    const [message] = readMessages(new MessageWriter(1, 0, 1).attribute(9, payload).attributeU32(10, 5).finish())
    const attributes = readAttributes(message.payload, 0)
    assert.equal(attributes.get(9)!.byteLength, 5000)
    assert.equal(attributes.get(10)!.getUint32(0, LITTLE_ENDIAN), 5)
  })

  test('an error gives errno and, with or without the request quoted, its sentence', le, () => {
    for (const [flags, quoted] of [
      [0x300, 16],
      [0x200, 32]
    ]) {
      const writer = new MessageWriter(2, flags, 1).u32(-17 >>> 0)
      writer.u32(32).u32(0).u32(0).u32(0)
      for (let i = 16; i < quoted; i += 4) writer.u32(0)
      const [message] = readMessages(writer.attributeText(1, 'it is there').finish())
      assert.deepEqual(readError(message), { errno: 17, text: 'it is there' })
    }
    const [ack] = readMessages(new MessageWriter(2, 0x100, 1).u32(0).u32(36).u32(0).u32(0).u32(0).finish())
    assert.deepEqual(readError(ack), { errno: 0, text: '' })
  })

  test('truncated and random bytes end the reading and nothing is read outside', () => {
    const whole = new MessageWriter(16, 0, 1).u32(0).attributeText(3, 'eth0').attributeU32(4, 1500).finish()
    for (let length = 0; length < whole.length; length++) {
      for (const message of readMessages(whole.slice(0, length)))
        assert.fail(`a message of ${message.payload.byteLength} in ${length} bytes`)
    }
    const random = new Random('netlink')
    for (let round = 0; round < 20_000; round++) {
      const bytes = Uint8Array.from({ length: random.below(120) }, () => random.int32())
      if (bytes.length >= 4 && random.below(2) === 0) bytes.set([bytes.length, 0, 0, 0])
      for (const message of readMessages(bytes)) {
        readError(message)
        for (const [, value] of readAttributes(message.payload, random.below(20))) textOf(value)
      }
    }
  })

  test('a list that changed while it was read is asked for again', async () => {
    let asked = 0
    const netlink = new Netlink(async (request) => {
      const sequence = readMessages(request)[0].sequence
      const interrupted = asked++ < 2 ? 0x10 : 0
      const link = new MessageWriter(16, 2 | interrupted, sequence).u32(0).u32(5).u32(1).u32(0).attributeText(3, 'eth0').finish()
      const done = new MessageWriter(3, 2, sequence).u32(0).finish()
      return Buffer.concat([link, done])
    })
    assert.deepEqual(
      (await netlink.links.list()).map(({ name, index }) => [name, index]),
      [['eth0', 5]]
    )
    assert.equal(asked, 3)
  })

  test('an answer to another request is not taken for this one', async () => {
    const connection = new NetlinkConnection((request) => {
      const sequence = readMessages(request)[0].sequence
      return Buffer.concat([
        new MessageWriter(2, 0x100, sequence - 1)
          .u32(-1 >>> 0)
          .u32(0)
          .u32(0)
          .u32(0)
          .u32(0)
          .finish()
      ])
    })
    await connection.change('nothing', 16, 0, () => {})
  })
})

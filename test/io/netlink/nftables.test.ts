// Encodings of nf_tables, byte by byte; that the kernel reads them as meant is test/system/nftables.test.ts.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Message, readAttributes, readMessages, textOf } from '../../../src/io/netlink/message-reader.ts'
import { LITTLE_ENDIAN, MessageWriter } from '../../../src/io/netlink/message-writer.ts'
import { NftablesBatch } from '../../../src/io/netlink/nftables/batch.ts'
import { concatenate, concatenation, fieldLengths } from '../../../src/io/netlink/nftables/data-type.ts'
import { type Expression, masquerade, verdict } from '../../../src/io/netlink/nftables/expressions.ts'
import { address, destinationPort, inState, interfaceName } from '../../../src/io/netlink/nftables/match.ts'
import { Nftables } from '../../../src/io/netlink/nftables/nftables.ts'

const le = { skip: !LITTLE_ENDIAN && 'bytes are given for a little-endian machine' }
const table = { family: 'inet', name: 'n' } as const

describe('nftables messages', () => {
  test('a batch begins and ends for its subsystem, and only its last statement is acknowledged', le, () => {
    const bytes = new NftablesBatch().addTable(table).addTable({ family: 'ip6', name: 'm' }).encode(7)
    assert.deepEqual(hex(bytes), [
      '14000000 1000 0100 07000000 00000000 0000000a', // begin: res_id 10, big-endian
      '24000000 000a 0104 08000000 00000000 01000000 06000100 6e000000 08000200 00000000',
      '24000000 000a 0504 09000000 00000000 0a000000 06000100 6d000000 08000200 00000000',
      '14000000 1100 0100 0a000000 00000000 0000000a'
    ])
  })

  test('a chain has hook, priority (below zero too), policy and type', le, () => {
    const batch = new NftablesBatch().addChain(table, 'c', { type: 'nat', hook: 'prerouting', priority: -100, policy: 'drop' })
    assert.deepEqual(payloads(batch), [
      [
        '01000000 06000100 6e000000 06000300 63000000', // family, table 'n', chain 'c'
        '14000480 08000100 00000000 08000200 ffffff9c', // hook 0, priority -100
        '08000500 00000000 08000700 6e617400' // policy drop, type 'nat'
      ].join(' ')
    ])
  })

  test('a rule is a list of named expressions', le, () => {
    const batch = new NftablesBatch().addRule(table, 'c', [masquerade()], [verdict('return')])
    assert.deepEqual(payloads(batch), [
      [
        '01000000 06000100 6e000000 06000200 63000000',
        '48000480',
        '14000180 09000100 6d617371 00000000 04000280', // masq
        '30000180 0e000100 696d6d65 64696174 65000000',
        '1c000280 08000100 00000000 10000280 0c000280 08000100 fffffffb' // register 0, verdict code -5
      ].join(' ')
    ])
  })

  test('addresses are compared whole or under their mask, after the family', () => {
    const parts = (expressions: Expression[]): string[] => expressions.map((e) => `${e.name} ${attributesOf(e)}`)
    const [family, , load, , equals] = parts(address('saddr', '==', '192.0.2.77/25'))
    assert.match(family, /^meta .*0000000f/)
    assert.equal(load, 'payload 1=00000001 2=00000001 3=0000000c 4=00000004')
    assert.match(parts(address('saddr', '==', '192.0.2.77/25'))[3], /^bitwise .*ffffff80/)
    assert.match(equals, /^cmp .*2=00000000 .*c0000200/)
    assert.deepEqual(
      parts(address('daddr', '!=', '2001:db8::1')).map((text) => text.split(' ')[0]),
      ['meta', 'cmp', 'payload', 'cmp']
    )
    assert.match(parts(address('daddr', '!=', '2001:db8::/32'))[2], /3=00000018 4=00000010/)
    assert.match(parts(address('daddr', '!=', '2001:db8::/33'))[3], /ffffffff80000000000000000000000/)
    assert.throws(() => address('saddr', '==', '192.0.2.0/33'), { code: 'INVALID_ADDRESS' })
    assert.equal(attributesOf(interfaceName('iifname', '==', 'eth0')[1]).includes('6574683000000000'), true)
    assert.match(attributesOf(destinationPort('==', 8080)[1]), /1f90/)
    assert.equal(inState('established', 'related').length, 3)
  })

  test('values side by side begin at words, and have nft’s number', () => {
    assert.deepEqual(concatenation(['ipv4', 'protocol', 'port']), { number: (7 << 12) | (12 << 6) | 13, length: 12 })
    assert.deepEqual(concatenation(['ipv6']), { number: 8, length: 16 })
    assert.deepEqual(fieldLengths(['ipv4', 'port']), [4, 2])
    assert.deepEqual(fieldLengths(['port']), [])
    const bytes = concatenate([Uint8Array.of(192, 0, 2, 1), Uint8Array.of(6), Uint8Array.of(0x1f, 0x90)])
    assert.equal(Buffer.from(bytes).toString('hex'), 'c0000201060000001f900000')
  })

  test('many elements are several messages, none longer than an attribute may be', () => {
    const elements = Array.from({ length: 1201 }, (_, i) => ({
      key: [Uint8Array.of(6), Uint8Array.of(i >> 8, i)],
      value: [new Uint8Array(4)]
    }))
    const batch = new NftablesBatch().addElements(table, 'm', elements)
    assert.equal(batch.length, 3)
    const messages = readMessages(batch.encode(1)).slice(1, -1)
    assert.equal(
      messages.reduce((sum, message) => sum + elementsOf(message), 0),
      1201
    )
    assert.equal(new NftablesBatch().addElements(table, 'm', []).length, 0)
  })
})

describe('nftables commit', () => {
  /** Answers of a kernel: errno by sequence number. */
  const answering = (...errors: [sequence: number, errno: number][]): Nftables =>
    new Nftables(() => {
      const messages = errors.map(([sequence, errno]) => {
        const writer = new MessageWriter(2, 0x100, sequence).u32(-errno >>> 0)
        return writer.u32(20).u32(0).u32(sequence).u32(0).finish()
      })
      return Buffer.concat(messages)
    })
  const batch = new NftablesBatch().addTable(table).addRule(table, 'forward', [masquerade()])

  test('names the first statement that was refused', async () => {
    await assert.rejects(answering([3, 2], [3, 0]).commit(batch), { code: 'ENOENT', request: 'nft add rule inet n forward' })
    await assert.rejects(answering([2, 17], [3, 2]).commit(batch), { code: 'EEXIST', request: 'nft add table inet n' })
    await assert.doesNotReject(answering([3, 0]).commit(batch))
  })

  test('a refusal of the beginning is about the whole', async () => {
    await assert.rejects(answering([1, 1]).commit(batch), { code: 'EPERM', request: 'nft nftables batch' })
  })

  test('an empty batch is not sent', async () => {
    const nftables = new Nftables(() => assert.fail('nothing to send'))
    await nftables.commit(new NftablesBatch())
  })

  test('lists are read from truncated answers without throwing', async () => {
    const whole = new NftablesBatch().addChain(table, 'c', { type: 'filter', hook: 'forward', priority: 5, policy: 'drop' }).encode(1)
    const chain = whole.subarray(20, whole.length - 20)
    for (let length = 0; length <= chain.length; length++) {
      const bytes = Buffer.from(chain.subarray(0, length))
      if (length >= 16) bytes.writeUInt32LE(length, 0)
      const chains = await new Nftables((request) => {
        if (length >= 16) bytes.set(request.subarray(8, 12), 8)
        return bytes
      }).chains()
      if (length === chain.length) {
        assert.deepEqual(chains, [{ table, name: 'c', base: { hook: 'forward', priority: 5, policy: 'drop', type: 'filter' } }])
      }
    }
  })
})

function hex(bytes: Uint8Array): string[] {
  return readMessages(bytes).map((message) => {
    const header = Buffer.alloc(16)
    header.writeUInt32LE(16 + message.payload.byteLength, 0)
    header.writeUInt16LE(message.type, 4)
    header.writeUInt16LE(message.flags, 6)
    header.writeUInt32LE(message.sequence, 8)
    const text = header.toString('hex')
    return `${text.slice(0, 8)} ${text.slice(8, 12)} ${text.slice(12, 16)} ${text.slice(16, 24)} ${text.slice(24)} ${words(message)}`
  })
}

function payloads(batch: NftablesBatch): string[] {
  return readMessages(batch.encode(1)).slice(1, -1).map(words)
}

function words({ payload }: Message): string {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  return bytes.toString('hex').replace(/(.{8})(?=.)/g, '$1 ')
}

/** `number=bytes` of each attribute of an expression. */
function attributesOf({ fill }: Expression): string {
  const writer = new MessageWriter(0, 0, 0)
  fill(writer)
  const [message] = readMessages(writer.finish())
  return [...readAttributes(message.payload, 0)]
    .map(([type, view]) => `${type}=${Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('hex')}`)
    .join(' ')
}

function elementsOf(message: Message): number {
  const list = readAttributes(message.payload, 4)
  assert.equal(textOf(list.get(1)!), 'n')
  const elements = list.get(3)!
  let count = 0
  for (let at = 0; at < elements.byteLength; count++) at += elements.getUint16(at, LITTLE_ENDIAN)
  return count
}

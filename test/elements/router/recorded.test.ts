/**
 * What a real Docker host's gateway sent (test/oracle/pcaps) and what the router sends to the same frames at the same times: equal
 * byte for byte, but for the IPv4 identification, which each counts for itself.
 */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { readCapture } from '../../../src/capture/read-capture.ts'
import type { InterfaceSpec } from '../../../src/elements/router/router-options.ts'
import { RouterLab } from './router-lab.ts'

const PCAPS = path.join(import.meta.dirname, '../../../../test/oracle/pcaps')
const CONTAINER = '02:42:0a:2c:00:02'
const UPLINK_MAC = '02:cc:00:00:00:50'
const OUTSIDE_MAC = '02:cc:00:00:00:60'

interface Recorded {
  /** Of the capture's frames, counted from 1 as in Wireshark. */
  readonly number: number
  readonly seconds: number
  readonly bytes: Uint8Array
}

function recorded(name: string, ...numbers: number[]): Recorded[] {
  const frames = [...readCapture(path.join(PCAPS, `${name}.pcap`))]
  return numbers.map((number) => ({
    number,
    seconds: Number(frames[number - 1].timestampNs - frames[0].timestampNs) / 1e9,
    bytes: frames[number - 1].data
  }))
}

/** Without identification and header checksum, which covers it. */
function comparable(bytes: Uint8Array): string {
  const copy = Buffer.from(bytes)
  if (copy.readUInt16BE(12) === 0x0800) {
    copy.fill(0, 18, 20)
    copy.fill(0, 24, 26)
  }
  return copy.toString('hex')
}

/** The gateway of the recordings: 10.44.0.1, masquerading on up0. */
function gateway(mac: string): RouterLab {
  const network: InterfaceSpec = { name: 'br0', mac, addresses: ['10.44.0.1/24'], mtu: 1500, answers: true }
  const uplink: InterfaceSpec = { name: 'up0', mac: UPLINK_MAC, addresses: ['192.0.2.50/24'], mtu: 1500, answers: true, masquerade: true }
  const lab = new RouterLab(
    { interfaces: { 0: network, 1: uplink }, routes: { '0.0.0.0/0': { via: '192.0.2.60', interface: 1 } } },
    { ports: 2 }
  )
  lab.arp(0, 1, CONTAINER, '10.44.0.2', '10.44.0.1')
  lab.arp(1, 1, OUTSIDE_MAC, '192.0.2.60', '192.0.2.50')
  lab.bytes(0)
  lab.bytes(1)
  return lab
}

test('icmp-errors: time exceeded, host unreachable after three questions, port unreachable, traceroute', () => {
  const lab = gateway('02:42:0a:81:c2:c3')
  let clock = 0
  for (const { question, answer, after } of [
    { question: 1, answer: 2, after: 0 },
    { question: 3, answer: 4, after: 3 },
    { question: 7, answer: 8, after: 0 },
    { question: 13, answer: 14, after: 0 }
  ]) {
    const [asked, expected] = recorded('icmp-errors', question, answer)
    lab.run(asked.seconds - clock)
    // The capture has no ARP, in which the container answered the gateway's probes.
    lab.arp(0, 1, CONTAINER, '10.44.0.2', '10.44.0.1')
    lab.bytes(0)
    lab.put(0, asked.bytes)
    lab.run(after)
    clock = asked.seconds + after
    // The answer of the kernel came a few jiffies later.
    assert.ok(Math.abs(expected.seconds - clock) < 0.1, `frame ${answer} came after ${expected.seconds - asked.seconds} s`)
    const ours = lab.bytes(0).filter((bytes) => bytes[13] === 0)
    assert.deepEqual(ours.map(comparable), [comparable(expected.bytes)], `frame ${answer}`)
  }
  lab.ends()
})

test('icmp-errors: what the router behind has to say is forwarded: one TTL less, nothing else changed', () => {
  const lab = gateway('02:42:0a:81:c2:c3')
  const [expected] = recorded('icmp-errors', 6)
  const sent = Buffer.from(expected.bytes)
  Buffer.from([0x02, 0xcc, 0, 0, 0, 0x50, 0x02, 0xcc, 0, 0, 0, 0x60]).copy(sent)
  sent[22]++
  sent.writeUInt16BE(sent.readUInt16BE(24) - 0x0100, 24)
  lab.put(1, sent)
  assert.deepEqual(
    lab.bytes(0).map((bytes) => Buffer.from(bytes).toString('hex')),
    [Buffer.from(expected.bytes).toString('hex')]
  )
  lab.ends()
})

test('arp-ping: the answer to ARP and echo, and the probe of the neighbor five seconds later', () => {
  const [question, reply, request, echo, probe, answer] = recorded('arp-ping', 14, 15, 16, 17, 18, 19)
  const lab = gateway('02:42:ed:0a:7c:41')
  lab.put(0, question.bytes)
  assert.deepEqual(lab.bytes(0).map(comparable), [comparable(reply.bytes)])
  lab.put(0, request.bytes)
  assert.deepEqual(lab.bytes(0).map(comparable), [comparable(echo.bytes)])
  lab.run(4.9)
  assert.deepEqual(lab.bytes(0), [])
  lab.run(0.2)
  assert.ok(Math.abs(probe.seconds - echo.seconds - 5) < 0.1)
  assert.deepEqual(lab.bytes(0).map(comparable), [comparable(probe.bytes)])
  lab.put(0, answer.bytes)
  lab.run(10)
  assert.deepEqual(lab.bytes(0), [], 'it is content')
  lab.ends()
})

test('arp-ping: an address that nobody has is asked for three times, a second apart', () => {
  const lab = gateway('02:42:ed:0a:7c:41')
  const [first, second, third] = recorded('arp-ping', 9, 10, 11)
  // The recorded questions are the container's; ours have our addresses in them.
  const ours = (bytes: Uint8Array): string => {
    const copy = Buffer.from(bytes)
    for (const at of [6, 22]) Buffer.from([0x02, 0x42, 0xed, 0x0a, 0x7c, 0x41]).copy(copy, at)
    copy[31] = 1
    return copy.toString('hex')
  }
  const [request] = recorded('arp-ping', 16)
  const packet = Buffer.from(request.bytes)
  packet.writeUInt16BE(packet.readUInt16BE(24) - 98, 24)
  packet[33] = 99
  lab.put(0, packet)
  for (const { bytes } of [first, second, third]) {
    assert.deepEqual(
      lab.bytes(0).map((sent) => Buffer.from(sent).toString('hex')),
      [ours(bytes)]
    )
    lab.run(1)
  }
  lab.ends()
})

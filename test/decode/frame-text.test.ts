/** Every line compared with tcpdump's, over the captures of the tree; and what tcpdump shows otherwise. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { readCapture } from '../../src/capture/read-capture.ts'
import { frameText } from '../../src/decode/frame-text.ts'
import { TcpSequences } from '../../src/decode/tcp-sequences.ts'
import { emitEthernet } from '../../src/wire/ethernet.ts'
import { emitIpv4 } from '../../src/wire/ipv4.ts'
import { emitUdp } from '../../src/wire/udp.ts'
import { emitVxlan } from '../../src/wire/vxlan.ts'

const ROOT = path.resolve(import.meta.dirname, '../../..')
const FOLDERS = ['test/fuzz/seeds', 'test/oracle/pcaps']
const hasTcpdump = spawnSync('tcpdump', ['--version']).status === 0

/** Lines of tcpdump, with what is documented to differ made equal: VXLAN on one line, fragments by name. */
function tcpdumpLines(file: string, ...options: string[]): string[] {
  const { stdout, stderr, status } = spawnSync('tcpdump', ['-Z', 'root', '-tn', ...options, '-r', file], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return stdout
    .replace(/(VXLAN, .*, vni \d+)\n/g, '$1: ')
    .replace(/: ip-proto-1$/gm, ': icmp frag')
    .replace(/: ip-proto-17$/gm, ': udp frag')
    .split('\n')
    .slice(0, -1)
}

/** As our README says that it differs: fragments with their range, DHCP with its message and names. */
function comparable(line: string): string {
  return line
    .replace(/(: (?:icmp|udp) frag) \(\d+\|\d+\)$/, '$1')
    .replace(/(BOOTP\/DHCP, (?:Request from [0-9a-f:]+|Reply)).*(, length \d+)$/, '$1$2')
}

describe("the same lines as tcpdump's", { skip: hasTcpdump ? false : 'tcpdump is not installed' }, () => {
  const files = FOLDERS.flatMap((folder) =>
    readdirSync(path.join(ROOT, folder))
      .filter((name) => name.endsWith('.pcap'))
      .map((name) => path.join(ROOT, folder, name))
  )
  test('there are captures', () => assert.ok(files.length > 30))
  for (const file of files) {
    test(path.relative(ROOT, file), () => {
      for (const options of [['-S'], []]) {
        const sequences = options.length === 0 ? new TcpSequences() : undefined
        const lines = Array.from(readCapture(file), ({ data, originalLength }) =>
          comparable(frameText(data, 0, data.length, { length: originalLength, sequences }))
        )
        assert.deepEqual(lines, tcpdumpLines(file, ...options))
      }
    })
  }
})

/** A frame out of hexadecimal text, somewhere in a larger chunk whose other bytes would be noticed. */
function lineOf(hex: string, length?: number): string {
  const data = Buffer.from(hex.replace(/\s/g, ''), 'hex')
  const chunk = new Uint8Array(data.length + 200).fill(0xa5)
  chunk.set(data, 100)
  return frameText(chunk, 100, 100 + data.length, length === undefined ? {} : { length })
}

const MACS = '02cc00000002 02cc00000001'

test('ARP, a tag, what is not IP', () => {
  const arp = '0001 0800 06 04 0001 02cc00000001 c0000201 000000000000 c0000202'
  assert.equal(lineOf(`${MACS} 0806 ${arp}`), 'ARP, Request who-has 192.0.2.2 tell 192.0.2.1, length 28')
  assert.equal(lineOf(`${MACS} 8100 601e 0806 ${arp}`), 'vlan 30, p 3, ARP, Request who-has 192.0.2.2 tell 192.0.2.1, length 28')
  assert.equal(lineOf(`${MACS} 88cc 0000`, 60), '02:cc:00:00:00:01 > 02:cc:00:00:00:02, ethertype LLDP (0x88cc), length 60')
  assert.equal(lineOf('0180c2000000 02cc00000001 0026 4242 03', 60), '02:cc:00:00:00:01 > 01:80:c2:00:00:00, 802.3, length 60')
})

test('a cut frame tells what its headers say, up to the cut', () => {
  const ip = '4500 0054 0001 4000 40 01 0000 c0000201 c0000202'
  assert.equal(lineOf(`${MACS} 0800 ${ip} 0800 0000 0007 0009`, 98), 'IP 192.0.2.1 > 192.0.2.2: ICMP echo request, id 7, seq 9, length 64')
  assert.equal(lineOf(`${MACS} 0800 ${ip}`, 98), 'IP 192.0.2.1 > 192.0.2.2: ICMP [|icmp]')
  assert.equal(lineOf(`${MACS} 0800 4500`, 98), 'IP [|ip]')
  assert.equal(lineOf('02cc00000002'), '[|ether]')
  assert.match(lineOf(`${MACS} 0800 ${ip} 0800 0000 0007 0009`), /^IP truncated-ip - 56 bytes missing! 192/)
  const tcp = '4500 0064 0001 4000 40 06 0000 c0000201 c0000202 1f90 c000 00000001 00000002 8018 00ff 0000 0000'
  assert.equal(lineOf(`${MACS} 0800 ${tcp}`, 114), 'IP 192.0.2.1.8080 > 192.0.2.2.49152: Flags [P.], seq 1:49, ack 2, win 255, [|tcp]')
})

test('DHCP says who asks for what', () => {
  const options = '63825363 350101 3204c0000207 0c03776562 ff'
  const bootp = `01010600 00000001 0000 0000 ${'00'.repeat(16)} 02cc00000001 ${'00'.repeat(202)} ${options}`.replace(/\s/g, '')
  const udp = `0044 0043 ${(8 + bootp.length / 2).toString(16).padStart(4, '0')} 0000`
  const ip = `4500 ${(28 + bootp.length / 2).toString(16).padStart(4, '0')} 0001 0000 40 11 0000 00000000 ffffffff`
  assert.match(
    lineOf(`${MACS} 0800 ${ip} ${udp} ${bootp}`),
    /DHCP, Request from 02:cc:00:00:00:01, Discover, requested 192.0.2.7, hostname "web", length \d+$/
  )
})

/** VXLAN around whatever is at the end of `bytes`, as often as `times`. */
function wrapped(times: number): Uint8Array {
  const bytes = new Uint8Array(50 * times + 14)
  for (let level = 0; level < times; level++) {
    const at = 50 * level
    const rest = bytes.length - at
    emitEthernet({ source: '02:cc:00:00:00:01', destination: '02:cc:00:00:00:02', type: 0x0800 }, bytes, at)
    const address = { source: '192.0.2.1', destination: '192.0.2.2' }
    emitIpv4({ ...address, protocol: 17, payloadLength: rest - 34 }, bytes, at + 14)
    emitUdp({ sourcePort: 50_000, destinationPort: 4789, payload: new Uint8Array(rest - 42) }, bytes, at + 34, at + 14)
    emitVxlan({ vni: level }, bytes, at + 42)
  }
  return bytes
}

test('VXLAN within VXLAN ends', () => {
  const bytes = wrapped(12)
  const line = frameText(bytes, 0, bytes.length)
  assert.equal(line.match(/VXLAN/g)?.length, 5)
  assert.ok(!line.includes('\n'))
})

test('the terminal is safe from what a frame says', () => {
  const ip = '4500 0033 0001 0000 40 11 0000 c0000201 c0000202'
  const dns = '0001 0100 0001 0000 0000 0000 05 1b5b324a0a 00 0001 0001'
  assert.equal(lineOf(`${MACS} 0800 ${ip} d000 0035 001f 0000 ${dns}`), 'IP 192.0.2.1.53248 > 192.0.2.2.53: 1+ A? .[2J.. (23)')
})

test('connections are counted from their first number, 4,096 of them', () => {
  const sequences = new TcpSequences()
  const [a, b] = ['192.0.2.1.1000', '192.0.2.2.80']
  assert.deepEqual(sequences.relative(a, b, true, 0xfffffffe, 0), [0xfffffffe, 0])
  assert.deepEqual(sequences.relative(b, a, true, 7, 0xffffffff), [7, 0xffffffff])
  assert.deepEqual(sequences.relative(a, b, false, 0xffffffff, 8), [1, 1])
  assert.deepEqual(sequences.relative(b, a, false, 8, 5), [1, 7])
  for (let port = 0; port < 4096; port++) sequences.relative(`10.0.0.1.${port}`, b, true, 1, 0)
  assert.deepEqual(sequences.relative(a, b, false, 100, 200), [100, 200])
})

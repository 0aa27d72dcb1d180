/**
 * iperf3's datagrams between two namespaces over a link of netloom, timed by the kernel where it gives them to one TAP and takes them from
 * the other. Datagrams that were written as one (src/io/README.md) are parted here as the kernel parts them at the socket: each has its
 * own number, and all have the one time.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readCapture } from '../src/capture/read-capture.ts'
import { Lab } from '../src/lab/lab.ts'
import { BenchNamespace } from './system/bench-namespace.ts'
import { CLIENT_ADDRESS, SERVER_ADDRESS, SUBNET } from './system/path-case.ts'

export interface TapStream {
  /** What the client's link does with what it sends, in words; '': nothing. */
  readonly link: string
  /** `tc qdisc add dev eth0 root ...` in the client's namespace. */
  readonly qdisc?: string
  /** Bytes of payload. */
  readonly datagram: number
  /** Of payload, as iperf3 is told. */
  readonly bitsPerSecond: number
  readonly seconds: number
  /** The engine's thread runs before ordinary ones. Default false. */
  readonly realtime?: boolean
}

export interface SeenFrame {
  readonly number: number
  /** Nanoseconds since the first one that was sent. */
  readonly timeNs: number
}

/** Ethernet, IPv4 without options, UDP. */
const HEADERS = 42
/** iperf3's datagrams begin with 4 bytes of seconds, 4 of microseconds and 4 of their number. */
const NUMBER_AT = 8
const PORT_AT = 36
const PORT = 5201

/** Throws BenchError when a program fails. */
export async function tapStream({
  link,
  qdisc,
  datagram,
  bitsPerSecond,
  seconds,
  realtime = false
}: TapStream): Promise<Record<'sent' | 'received', SeenFrame[]>> {
  const folder = mkdtempSync(path.join(tmpdir(), `netloom-bench-${process.pid}-`))
  const [client, server] = [await BenchNamespace.create(), await BenchNamespace.create()]
  const lab = await Lab.create({ seed: 1, upstreams: [], realtime })
  try {
    const network = await lab.network('bench', { subnet: SUBNET })
    await network.attach('client', { path: client.path }, { ip: CLIENT_ADDRESS, ...(link !== '' && { link: { out: link } }) })
    await network.attach('server', { path: server.path }, { ip: SERVER_ADDRESS })
    if (qdisc !== undefined) await client.run('tc', 'qdisc', 'add', 'dev', 'eth0', 'root', ...qdisc.split(' '))
    const files = ['client', 'server'].map((name) => path.join(folder, `${name}.pcap`))
    // Whole frames, for the numbers of all datagrams in one; written in blocks: the path is not to wait for a program that looks on.
    const tcpdump = ['tcpdump', '-i', 'eth0', '-B', '65536', '-s', '0', '--time-stamp-precision=nano', '-w']
    const captures = [client, server].map((namespace, end) => namespace.start(...tcpdump, files[end]!, `udp and dst port ${PORT}`))
    for (const capture of captures) await capture.until('capture', () => capture.stderr.includes('listening on'))
    const peer = server.start('iperf3', '-s', '-1')
    await sleep(500)
    const rate = ['-b', String(Math.round(bitsPerSecond)), '-l', String(datagram), '-t', String(seconds)]
    await client.start('iperf3', '-u', ...rate, '-c', SERVER_ADDRESS).finish(seconds + 30)
    await peer.stop()
    await sleep(500)
    for (const capture of captures) await capture.stop('SIGINT')
    const [sent, received] = files.map((file) => frames(file, datagram))
    const start = sent![0]?.time ?? 0n
    const since = (seen: typeof sent): SeenFrame[] => seen!.map(({ time, ...frame }) => ({ ...frame, timeNs: Number(time - start) }))
    return { sent: since(sent), received: since(received) }
  } finally {
    await lab.close()
    client.close()
    server.close()
    rmSync(folder, { recursive: true })
  }
}

/** @param datagram bytes of payload of each */
function frames(file: string, datagram: number): { number: number; time: bigint }[] {
  return [...readCapture(file)].flatMap(({ data, timestampNs: time }) => {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    if (data.byteLength < HEADERS + datagram || view.getUint16(PORT_AT) !== PORT) return []
    const segments = Math.floor((data.byteLength - HEADERS) / datagram)
    return Array.from({ length: segments }, (_, index) => ({
      number: view.getUint32(HEADERS + index * datagram + NUMBER_AT),
      time
    }))
  })
}

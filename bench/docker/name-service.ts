/**
 * The embedded DNS server under dnsperf, asked from within a container's network namespace: alone, and while a bulk TCP transfer runs
 * between two other containers of the same network.
 */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import type { DockerPeer } from './docker-peer.ts'

export interface DnsTrial {
  readonly queriesPerSecond: number
  readonly lost: number
  /** Average, milliseconds. */
  readonly latency: number
  /** Of the transfer that ran meanwhile, bits per second; 0 when none did. */
  readonly bulk: number
}

const CLIENTS = 4

/** dns-a and dns-b are asked for; bulk-a and bulk-b carry the transfer. */
export async function prepareNameService(peer: DockerPeer): Promise<void> {
  await peer.api.ok('POST', '/v1.41/networks/create', { Name: 'names', IPAM: { Config: [{ Subnet: '10.252.0.0/24' }] } })
  const body = { Image: 'tools', Tty: true, OpenStdin: true, HostConfig: { NetworkMode: 'names' } }
  for (const name of ['dns-a', 'dns-b', 'bulk-a', 'bulk-b']) await peer.run(name, body)
  writeFileSync(queryFile(peer), 'dns-a A\ndns-b A\ndns-b AAAA\ndns-a.names A\n'.repeat(25))
}

export async function measureNameService(peer: DockerPeer, seconds: number, withBulk: boolean): Promise<DnsTrial> {
  const { lab } = peer
  const pid = await peer.pid('dns-a')
  const transfer = withBulk ? startTransfer(peer, seconds) : null
  // The transfer is under way when the first query goes.
  if (transfer !== null) await new Promise((resolve) => setTimeout(resolve, 1000))
  const dnsperf = ['-s', '127.0.0.11', '-d', queryFile(peer), '-l', String(seconds), '-c', String(CLIENTS)]
  const { status, stdout, stderr } = await lab.run('nsenter', [`--net=/proc/${pid}/ns/net`, 'dnsperf', ...dnsperf])
  if (status !== 0) throw new Error(`dnsperf: exit ${status}\n${stdout}${stderr}`)
  const figure = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? Number.NaN)
  return {
    queriesPerSecond: figure(/Queries per second:\s+([\d.]+)/),
    lost: figure(/Queries lost:\s+(\d+)/),
    latency: figure(/Average Latency \(s\):\s+([\d.]+)/) * 1000,
    bulk: transfer === null ? 0 : await transfer
  }
}

function queryFile({ lab }: DockerPeer): string {
  return path.join(lab.folder, 'queries.txt')
}

/** iperf3 from bulk-a to bulk-b for longer than the questions take; resolves with its rate. */
async function startTransfer({ lab }: DockerPeer, seconds: number): Promise<number> {
  const docker = (...args: string[]) => spawn('docker', ['-H', lab.dockerHost, 'exec', ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
  const server = docker('bulk-b', 'iperf3', '-s', '-1')
  await new Promise((resolve) => setTimeout(resolve, 500))
  const client = docker('bulk-a', 'iperf3', '-J', '-t', String(seconds + 2), '-c', 'bulk-b')
  server.stdout.resume()
  const result = JSON.parse(await text(client.stdout)) as { error?: string; end?: { sum_received?: { bits_per_second: number } } }
  if (result.end?.sum_received === undefined) throw new Error(`iperf3: ${result.error ?? 'no result'}`)
  return result.end.sum_received.bits_per_second
}

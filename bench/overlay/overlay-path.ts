/**
 * TCP between containers of two machines with a VXLAN of the kernel, of netloom or of Open vSwitch between them:
 *
 *   client eth0 10.0.0.2 -- VTEP | left eth0 192.0.2.50 ---- right eth0 192.0.2.51 | VTEP -- eth0 10.0.0.3 server
 *
 * and within one process by an overlay of two emulated hosts, beside one bridge network.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BenchNamespace } from '../system/bench-namespace.ts'
import { BenchProcess, installed } from '../system/bench-process.ts'
import { runTcp, runUdp } from '../system/iperf.ts'
import { buildPath, type PathParts, type RunningPath } from '../system/path-case.ts'
import { INNER_MTU } from './overlay-host.ts'

const PROGRAM = fileURLToPath(new URL('./host-process.js', import.meta.url))
const IN_PROCESS = fileURLToPath(new URL('./emulated-process.js', import.meta.url))
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema'
const VTEPS = ['192.0.2.50', '192.0.2.51'] as const
const CONTAINERS = ['10.0.0.2', '10.0.0.3'] as const
const MACS = ['02:42:0a:00:00:02', '02:42:0a:00:00:03'] as const
const SIDES = [0, 1] as const

export type OverlayKind = 'kernel' | 'tap' | 'udp' | 'openvswitch' | 'bridge' | 'emulated'

/** Gbit/s of one TCP stream, datagrams of 64 bytes a second as fast as the sender can, and CPU of the machine. */
export async function runOverlayPath(kind: OverlayKind, seconds: number): Promise<Record<string, number>> {
  const running = await buildPath((parts) => START[kind](parts))
  try {
    const iperf = running.server.start('iperf3', '-s', '--forceflush')
    try {
      await iperf.until('listening', () => iperf.stdout.includes('listening'))
      await runTcp(running, { streams: 1, reverse: false, seconds: 1 })
      const { gbitPerSecond, cpuPerGigabyte } = await runTcp(running, { streams: 1, reverse: false, seconds })
      const { delivered } = await runUdp(running, 64, 0, 1)
      return { gbit: gbitPerSecond, cpu: cpuPerGigabyte.machine, kpps: delivered / 1000 }
    } finally {
      await iperf.stop()
    }
  } finally {
    await running.close()
  }
}

export const hasOpenVswitch = (): boolean => ['ovs-vswitchd', 'ovsdb-server', 'ovsdb-tool', 'ovs-vsctl'].every(installed)

type Start = (parts: PathParts) => Promise<Omit<RunningPath, 'close'>>

const START: Record<OverlayKind, Start> = {
  kernel: async (parts) => {
    const machines = await joinedMachines(parts)
    for (const side of SIDES) {
      const device = ['id', '256', 'dstport', '4789', 'local', VTEPS[side], 'remote', VTEPS[1 - side]]
      await machines[side].run('ip', 'link', 'add', 'vx0', 'mtu', String(INNER_MTU), 'type', 'vxlan', ...device)
      await machines[side].configure('vx0', `${CONTAINERS[side]}/24`)
    }
    return pathOf(machines[0], machines[1], [])
  },
  tap: (parts) => ours(parts, 'tap'),
  udp: (parts) => ours(parts, 'udp'),
  openvswitch: async (parts) => {
    const machines = await joinedMachines(parts)
    const forwarders = []
    for (const side of SIDES) forwarders.push(await startOpenVswitch(parts, machines[side], side))
    return pathOf(machines[0], machines[1], forwarders)
  },
  bridge: (parts) => inProcess(parts, 'bridge'),
  emulated: (parts) => inProcess(parts, 'overlay')
}

async function joinedMachines(parts: PathParts): Promise<BenchNamespace[]> {
  const machines = [await parts.namespace(), await parts.namespace()]
  await machines[0].run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', machines[1].path)
  for (const side of SIDES) await machines[side].configure('eth0', `${VTEPS[side]}/24`)
  return machines
}

async function ours(parts: PathParts, underlay: 'tap' | 'udp'): Promise<Omit<RunningPath, 'close'>> {
  const machines = await joinedMachines(parts)
  const containers = [await parts.namespace(), await parts.namespace()]
  const forwarders: BenchProcess[] = []
  for (const side of SIDES) {
    const words = [underlay, VTEPS[side], VTEPS[1 - side], CONTAINERS[side], CONTAINERS[1 - side], MACS[side], MACS[1 - side]]
    const started = parts.process(new BenchProcess([process.execPath, PROGRAM, machines[side].path, containers[side].path, ...words]))
    await started.until('line "ready"', () => started.stdout.includes('ready'), 10)
    forwarders.push(started)
  }
  return pathOf(containers[0], containers[1], forwarders)
}

async function inProcess(parts: PathParts, kind: 'bridge' | 'overlay'): Promise<Omit<RunningPath, 'close'>> {
  const containers = [await parts.namespace(), await parts.namespace()]
  const started = parts.process(
    new BenchProcess([process.execPath, IN_PROCESS, kind, ...containers.map((each) => each.path), ...CONTAINERS, ...MACS])
  )
  await started.until('line "ready"', () => started.stdout.includes('ready'), 10)
  return pathOf(containers[0], containers[1], [started])
}

function pathOf(client: BenchNamespace, server: BenchNamespace, forwarders: readonly BenchProcess[]): Omit<RunningPath, 'close'> {
  return { client, server, address: CONTAINERS[1], forwarders, ping: true }
}

/** A userspace datapath with an internal port and a VXLAN port; its own TCP/IP needs the underlay's address on a bridge of its own. */
async function startOpenVswitch(parts: PathParts, machine: BenchNamespace, side: 0 | 1): Promise<BenchProcess> {
  const folder = mkdtempSync(path.join(tmpdir(), `netloom-bench-${process.pid}-`))
  parts.cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  const at = (name: string): string => path.join(folder, name)
  const own = ['env', `OVS_RUNDIR=${folder}`, `OVS_LOGDIR=${folder}`, `OVS_DBDIR=${folder}`]
  const database = `unix:${at('db.sock')}`
  await machine.run(...own, 'ovsdb-tool', 'create', at('conf.db'), SCHEMA)
  const server = parts.process(machine.start(...own, 'ovsdb-server', at('conf.db'), `--remote=p${database}`, `--unixctl=${at('db.ctl')}`))
  const vsctl = (...args: string[]): Promise<string> => machine.run(...own, 'ovs-vsctl', `--db=${database}`, '--timeout=8', ...args)
  await server.until('socket', () => existsSync(at('db.sock')))
  await vsctl('--no-wait', 'init')
  const vswitch = parts.process(machine.start(...own, 'ovs-vswitchd', database, `--unixctl=${at('vswitch.ctl')}`, '-vfile:off'))
  await vsctl('add-br', 'phy', '--', 'set', 'Bridge', 'phy', 'datapath_type=netdev', '--', 'add-port', 'phy', 'eth0')
  await machine.appeared('phy', vswitch)
  await machine.run('ip', 'address', 'del', `${VTEPS[side]}/24`, 'dev', 'eth0')
  await machine.configure('phy', `${VTEPS[side]}/24`)
  const tunnel = ['set', 'Interface', 'vx0', 'type=vxlan', `options:remote_ip=${VTEPS[1 - side]}`, 'options:key=256']
  await vsctl('add-br', 'br0', '--', 'set', 'Bridge', 'br0', 'datapath_type=netdev', '--', 'add-port', 'br0', 'vx0', '--', ...tunnel)
  await machine.appeared('br0', vswitch)
  await machine.run('ip', 'link', 'set', 'br0', 'mtu', String(INNER_MTU))
  await machine.configure('br0', `${CONTAINERS[side]}/24`)
  return vswitch
}

// The processes of the overlay benchmark: containers reach each other, by the elements that a user's frames pass.
import assert from 'node:assert/strict'
import path from 'node:path'
import { describe, test } from 'node:test'
import { BenchProcess } from '../../bench/system/bench-process.ts'
import { projectRoot } from '../../bench/system/project-root.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const ADDRESSES = ['10.0.0.2', '10.0.0.3']
const MACS = ['02:42:0a:00:00:02', '02:42:0a:00:00:03']
const VTEPS = ['192.0.2.50', '192.0.2.51']
const program = (name: string): string => path.join(projectRoot, 'dist/bench/overlay', name)

describe('the overlay benchmark', { skip: namespacesMissing('ip', 'ping', 'setpriv') }, () => {
  /** Names of elements that frames passed (of dns-taps, all) while `processes` joined the containers; all are ended. */
  const passed = async (containers: readonly TestNamespace[], processes: readonly BenchProcess[]): Promise<string[]> => {
    try {
      for (const each of processes) await each.until('line "ready"', () => each.stdout.includes('ready'), 60)
      containers[0].run('ping', '-n', '-c', '3', '-i', '0.2', '-w', '30', ADDRESSES[1])
    } finally {
      for (const each of processes) each.child.stdin!.end()
    }
    await Promise.all(processes.map((each) => each.finish(60)))
    const counters = processes.flatMap(({ stderr }) =>
      [...stderr.matchAll(/^\[.*\]$/gm)].map(([line]) => JSON.parse(line) as [string, object])
    )
    // A dns-tap counts nothing but DNS.
    return counters.filter(([name, each]) => name.endsWith('/dns-tap') || /:[1-9]/.test(JSON.stringify(each))).map(([name]) => name)
  }
  const start = (...argv: string[]): BenchProcess => new BenchProcess(['env', 'NETLOOM_BENCH_COUNTERS=1', process.execPath, ...argv])

  for (const [kind, expected] of [
    ['bridge', ['bench/c10-0-0-2/dns-tap', 'bench/c10-0-0-3/dns-tap', 'bench/bridge']],
    [
      'overlay',
      ['host1/bench/c10-0-0-2/dns-tap', 'host1/overlay/vxlan', 'host1/gateway/router', 'host1/gateway/nat', 'host1/uplink/eth0', 'lan/lan']
    ]
  ] as const) {
    test(`containers in one process: ${kind}`, async () => {
      const containers = [new TestNamespace(), new TestNamespace()]
      try {
        const process = start(program('emulated-process.js'), kind, ...containers.map(({ path }) => path), ...ADDRESSES, ...MACS)
        const elements = await passed(containers, [process])
        for (const name of expected) assert.ok(elements.includes(name), `${name} is not among ${elements}`)
      } finally {
        for (const each of containers) each.close()
      }
    })
  }

  for (const underlay of ['tap', 'udp']) {
    test(`containers of two machines: ${underlay}`, async () => {
      const namespaces = [0, 1, 2, 3].map(() => new TestNamespace())
      const [machines, containers] = [namespaces.slice(0, 2), namespaces.slice(2)]
      try {
        machines[0].run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', machines[1].path)
        for (const side of [0, 1]) {
          machines[side].run('ip', 'address', 'add', `${VTEPS[side]}/24`, 'dev', 'eth0')
          machines[side].run('ip', 'link', 'set', 'eth0', 'up')
        }
        const processes = [0, 1].map((side) => {
          const other = 1 - side
          const words = [underlay, VTEPS[side], VTEPS[other], ADDRESSES[side], ADDRESSES[other], MACS[side], MACS[other]]
          return start(program('host-process.js'), machines[side].path, containers[side].path, ...words)
        })
        const elements = await passed(containers, processes)
        for (const name of ['bench/c10-0-0-2/dns-tap', 'bench/c10-0-0-3/dns-tap', 'bench/bridge', 'overlay/vxlan']) {
          assert.ok(elements.includes(name), `${name} is not among ${elements}`)
        }
      } finally {
        for (const each of namespaces) each.close()
      }
    })
  }
})

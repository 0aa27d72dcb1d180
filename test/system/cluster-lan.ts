// A LAN 192.0.2.0/24 of namespaces: daemons of a cluster at .11, .12..., servers of their store where a test wants them.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { sleep } from '../../src/engine/clock.ts'
import { DaemonProcess, docker } from './daemon-process.ts'
import { TestNamespace } from './test-namespace.ts'

/** What must become so; the limit only keeps a failing test from hanging. */
export async function eventually(what: string, isSo: () => boolean): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      if (isSo()) return
    } catch (error) {
      if (tries === 600) throw error
    }
    if (tries === 600) assert.fail(`never: ${what}`)
    await sleep(200)
  }
}

export class ClusterLan {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'netloom-cluster-'))
  /** The LAN's switch, and its router's address 192.0.2.1. */
  readonly lan = new TestNamespace()
  private readonly machines: TestNamespace[] = []
  /** By number, from 1 on. */
  private readonly hosts = new Map<number, TestNamespace>()
  private readonly daemons = new Map<number, DaemonProcess>()

  constructor() {
    this.lan.run('ip', 'link', 'add', 'br0', 'type', 'bridge')
    this.lan.run('ip', 'addr', 'add', '192.0.2.1/24', 'dev', 'br0')
    for (const link of ['lo', 'br0']) this.lan.run('ip', 'link', 'set', link, 'up')
  }

  /** One more, as up0 at 192.0.2.LAST; its cable's end at the switch is `m` and LAST. */
  machine(last: number): TestNamespace {
    const { lan } = this
    const machine = new TestNamespace()
    this.machines.push(machine)
    lan.run('ip', 'link', 'add', `m${last}`, 'type', 'veth', 'peer', 'name', 'up0', 'netns', machine.path)
    lan.run('ip', 'link', 'set', `m${last}`, 'master', 'br0', 'up')
    machine.run('ip', 'addr', 'add', `192.0.2.${last}/24`, 'dev', 'up0')
    for (const link of ['lo', 'up0']) machine.run('ip', 'link', 'set', link, 'up')
    machine.run('ip', 'route', 'add', 'default', 'via', '192.0.2.1')
    return machine
  }

  /** Takes a machine's cable out, or puts it in. */
  cable(last: number, isIn: boolean): void {
    this.lan.run('ip', 'link', 'set', `m${last}`, isIn ? 'up' : 'down')
  }

  /** The daemon of host `number`, which is a machine at 192.0.2.10 + NUMBER; with the store's URL and more arguments. */
  async startDaemon(number: number, store: string, ...more: string[]): Promise<DaemonProcess> {
    const host = this.hosts.get(number) ?? this.machine(10 + number)
    this.hosts.set(number, host)
    const daemon = new DaemonProcess(host, [
      ...['--host', `unix://${this.socket(number)}`, '--state-dir', path.join(this.folder, `state${number}`)],
      ...['--cluster-store', store, '--cluster-advertise', `192.0.2.${10 + number}:2376`],
      ...more
    ])
    this.daemons.set(number, daemon)
    await daemon.ready()
    return daemon
  }

  daemon(number: number): DaemonProcess {
    return this.daemons.get(number)!
  }

  host(number: number): TestNamespace {
    return this.hosts.get(number)!
  }

  socket(number: number): string {
    return path.join(this.folder, `d${number}.sock`)
  }

  /** A docker command on a host; throws with its output when it fails. */
  on(number: number, ...args: string[]): string {
    return docker(this.socket(number), ...args)
  }

  /** Waits until the daemons have joined, each when it reached the store, and so show a network that one of them made. */
  async shared(network: string, ...numbers: number[]): Promise<void> {
    for (const number of numbers)
      await eventually(`host ${number} has ${network}`, () => this.on(number, 'network', 'inspect', network) !== '')
  }

  /** A container that only sleeps. */
  run(number: number, name: string, network: string): string {
    return this.on(number, 'run', '-d', '--name', name, '--net', network, 'alpine', 'sleep', '10000')
  }

  /** What VXLAN goes by the cable of the machine at 192.0.2.LAST while `work` is done, as tcpdump's lines. The cable is in. */
  async vxlanTo(last: number, work: () => unknown): Promise<string[]> {
    const address = `192.0.2.${last}`
    const filter = `udp port 4789 or (icmp[icmptype] == icmp-echo and src 192.0.2.1 and dst ${address})`
    const dump = this.lan.start('tcpdump', '-lnni', `m${last}`, '--immediate-mode', filter)
    const ended = once(dump, 'close')
    let lines: string[] = []
    let rest = ''
    dump.stdout!.setEncoding('utf8').on('data', (data: string) => {
      const whole = (rest + data).split('\n')
      rest = whole.pop()!
      lines = lines.concat(whole)
    })
    let said = ''
    // Left open: tcpdump writes that line in pieces, and a pipe that is closed would end it.
    for await (const text of dump.stderr!.iterator({ destroyOnReturn: false })) if ((said += text).includes('listening on')) break
    await work()
    // What comes after the work by the same cable: when it is shown, so is all that was before it.
    const isMarker = (line: string): boolean => line.includes(`192.0.2.1 > ${address}: ICMP echo request`)
    for (let tries = 0; !lines.some(isMarker); tries++) {
      if (tries === 600) assert.fail('tcpdump never shows the ping at the end')
      await this.lan.exec('ping', '-c', '1', '-W', '1', address)
      await sleep(100)
    }
    dump.kill('SIGTERM')
    await ended
    return lines.filter((line) => line !== '' && !isMarker(line))
  }

  /** Whether one ping from a container is answered. */
  reaches(number: number, from: string, to: string): boolean {
    const answer = this.on(number, 'exec', from, 'sh', '-c', `ping -c 1 -W 1 -w 2 ${to} 2>&1 || true`)
    return / 0% packet loss/.test(answer)
  }

  async close(): Promise<void> {
    for (const [number, daemon] of this.daemons) {
      if (daemon.isEnded) continue
      const names = this.on(number, 'ps', '-aq').split('\n').filter(Boolean)
      if (names.length > 0) this.on(number, 'rm', '-f', ...names)
      await daemon.stop()
    }
    for (const namespace of [...this.machines, this.lan]) namespace.close()
    // Servers that were killed a moment ago may still write.
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

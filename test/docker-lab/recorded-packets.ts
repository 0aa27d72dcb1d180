// Packets of the oracle's lab in captures, and the judge that compares them with Docker's recordings (test/oracle/pcaps).
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { DockerLab, ORACLE, ROOT } from './docker-lab.ts'

const GATEWAY_MAC = Buffer.from('02420a2c0001', 'hex')
/** Any that is not made from an address: Docker draws the gateways' of user-defined networks, ours follow from the address. */
const DRAWN_MAC = Buffer.from('024270000001', 'hex')

/**
 * Options of `docker run`: the kernel picks no source port that compare-pcap takes for one that a recorded command asked for (its
 * --fixed-ports), which it would do about once in 300 connections.
 */
export const KEEP_RECORDED_PORTS = ['--sysctl', 'net.ipv4.ip_local_reserved_ports=40000-40099']

/**
 * Which of them, by recording, where a NAT chooses a port of its own in another one's place: it would meet the others about once in 650
 * runs. The one that two wanted it cannot choose.
 */
const FIXED_PORTS: Readonly<Record<string, string>> = { 'masquerade-collision': '40003-40003' }

/** Looks for packets that have yet to come, half a second apart: a minute and more, which only what never comes takes. */
const LOOKS = 120

/**
 * Of a route, and a sysctl: nothing is sent again that was only late. On a busy machine a FIN was, after 200 ms, and what answered it met a
 * socket that had gone, so that a RST was captured.
 */
const PATIENT_ROUTE = ['rto_min', '20s']
const PATIENT_TAIL = 'net.ipv4.tcp_early_retrans=0'

export type RecordedUplink = 'host' | 'interface'

/**
 * With `host` the last word is the kernel's, so tcpdump captures outside. With `interface` everything is ours, and the address is: each
 * capture is one of `netloom capture`.
 */
const UPLINK: Readonly<Record<RecordedUplink, string>> = {
  host: 'host',
  interface: 'interface=up0,address=192.0.2.50/24,gateway=192.0.2.1,mac=02:cc:00:00:00:50'
}

/** The name of a recording; `differs`: its flows that are known to differ. */
export type Comparison = string | { readonly name: string; readonly differs: readonly string[] }

interface RunningCapture {
  readonly child: ChildProcess
  readonly ended: Promise<unknown>
}

/** A lab of its own with the network `net`, 10.44.0.0/24. */
export class RecordedPackets {
  readonly lab: DockerLab
  readonly uplink: RecordedUplink
  private readonly running: RunningCapture[] = []
  /** By name of the recording. */
  private readonly files = new Map<string, string[]>()
  /** What the commands of `sh` printed, for messages. */
  private readonly said: string[] = []

  constructor(uplink: RecordedUplink) {
    this.uplink = uplink
    this.lab = new DockerLab(`pc${uplink[0]}`)
    this.lab.daemonEnvironment['NETLOOM_DAEMON_ARGS'] = `--live-restore=false --uplink ${UPLINK[uplink]}`
  }

  async up(): Promise<void> {
    await this.lab.up()
    const within = (place: string): string => `--net=/run/netns/${this.lab.prefix}${place}`
    const [, ports] = KEEP_RECORDED_PORTS
    for (const place of ['1', 'out']) await this.lab.must('nsenter', within(place), 'sysctl', '-qw', ports!, PATIENT_TAIL)
    const lan = ['192.0.2.0/24', 'dev', 'lan', 'proto', 'kernel', 'scope', 'link', 'src', '192.0.2.60']
    await this.lab.must('nsenter', within('out'), 'ip', 'route', 'change', ...lan, ...PATIENT_ROUTE)
    // The address is the station's now, and no longer the kernel's.
    if (this.uplink === 'interface') await this.lab.must('nsenter', ...this.onHost('ip', 'address', 'flush', 'dev', 'up0'))
  }

  async reset(): Promise<void> {
    this.said.length = 0
    await this.lab.reset()
    await this.lab.ok('network', 'create', '--subnet', '10.44.0.0/24', 'net')
  }

  async run(name: string, image: string, ...options: string[]): Promise<void> {
    const settings = [...KEEP_RECORDED_PORTS, '--sysctl', PATIENT_TAIL]
    await this.lab.ok('run', '-itd', '--name', name, '--net', 'net', ...settings, ...options, image)
    const route = ['default', 'via', '10.44.0.1', 'dev', 'eth0']
    await this.lab.must('nsenter', ...(await this.within(name, 'ip', 'route', 'change', ...route, ...PATIENT_ROUTE)))
    await this.lab.run('nsenter', await this.within(name, 'ethtool', '-K', 'eth0', 'tx', 'off')) // so that checksums are finished
  }

  /** Commands in a container; some are meant to fail, but none to be missing or never to run. */
  async sh(container: string, ...commands: string[]): Promise<void> {
    const { status, stdout, stderr } = await this.lab.docker('exec', container, 'sh', '-c', commands.join('; '))
    const said = `${container}: ${commands.join('; ')}: exit ${status}\n${stdout}${stderr}`
    // Docker's own failures and the shell's, see `docker run --help` of any version: 125 the daemon's, 126 and 127 the command's.
    if (status < 0 || (status >= 125 && status <= 127)) throw new Error(said + this.lab.logEnd())
    this.said.push(said)
  }

  /** A command of the outside host, 192.0.2.60. */
  fromOutside(...command: string[]): Promise<unknown> {
    return this.lab.run('nsenter', [`--net=/run/netns/${this.lab.prefix}out`, ...command])
  }

  /** What crosses the way out. */
  async outside(name: string, filter: string): Promise<void> {
    if (this.uplink === 'interface') await this.own(name, 'uplink', filter)
    else await this.tcpdump(name, this.onHost(), 'up0', filter)
  }

  /** What the network has: in a capture of ours, and in what tcpdump sees at the container. */
  async inside(name: string, filter: string, container?: string): Promise<void> {
    await this.own(name, 'net', filter)
    if (container !== undefined) await this.tcpdump(name, await this.within(container), 'eth0', filter)
  }

  /** Ends the captures when the last packets are in them: those that the recording has, if `compare` is to find them. */
  async done(...expected: Comparison[]): Promise<void> {
    await sleep(700)
    for (let looks = 0; looks < LOOKS; looks++) {
      const found = await Promise.all(expected.map((comparison) => this.differences(comparison)))
      if (found.flat().length === 0) break
      await sleep(500)
    }
    await this.endCaptures()
  }

  /** Ends the captures when `lines` of this one are as wanted. */
  async doneWhen(name: string, isWhole: (lines: { recorded: string[]; captured: string[] }) => boolean): Promise<void> {
    for (let looks = 0; looks < LOOKS && !isWhole(await this.lines(name)); looks++) await sleep(500)
    await sleep(700) // what should not come has that long to come
    await this.endCaptures()
  }

  private async endCaptures(): Promise<void> {
    for (const { child, ended } of this.running.splice(0)) {
      child.kill('SIGINT')
      await ended
    }
  }

  /** To the end, and each of the recordings with all captures of its name. */
  async compare(...expected: Comparison[]): Promise<void> {
    await this.done(...expected)
    for (const comparison of expected) assert.deepEqual(await this.differences(comparison), [])
  }

  /** What compare-pcap said of the captures of that name that are not as they are to be. */
  private async differences(comparison: Comparison): Promise<string[]> {
    const { name, differs = [] } = typeof comparison === 'string' ? { name: comparison } : comparison
    const files = this.files.get(name) ?? []
    assert.notEqual(files.length, 0)
    return (await Promise.all(files.map((file) => this.difference(name, file, differs)))).filter((text) => text !== '')
  }

  private async difference(name: string, file: string, differs: readonly string[]): Promise<string> {
    const judged = `${file}.judged`
    writeFileSync(judged, replaceAll(readFileSync(file), GATEWAY_MAC, DRAWN_MAC))
    const ports = FIXED_PORTS[name] === undefined ? [] : ['--fixed-ports', FIXED_PORTS[name]]
    const words = [...ports, path.join(ORACLE, `pcaps/${name}.pcap`), judged]
    const { stdout, stderr } = await this.lab.run(path.join(ORACLE, 'compare-pcap'), words)
    const flows = (word: string): string[] =>
      [...stdout.matchAll(new RegExp(`^${word} +(.*?)(?: \\(\\d+ lines\\))?$`, 'gm'))].map(([, flow]) => flow!)
    if (flows('ok').length > 0 && isDeepStrictEqual(flows('FAIL'), differs)) return ''
    return `${name}, uplink ${this.uplink}, ${path.basename(file)}:\n${stdout}${stderr}\n${this.said.join('\n')}`
  }

  /** The lines that compare-pcap compares, of the recording and of what was captured. */
  async lines(name: string): Promise<{ recorded: string[]; captured: string[] }> {
    const show = async (file: string): Promise<string[]> =>
      (await this.lab.run(path.join(ORACLE, 'compare-pcap'), ['--show', file])).stdout.split('\n')
    return { recorded: await show(path.join(ORACLE, `pcaps/${name}.pcap`)), captured: await show(this.files.get(name)![0]!) }
  }

  private own(name: string, target: string, filter: string): Promise<void> {
    const file = this.file(name, 'own.pcapng')
    // A frame that is dropped on its way is on no wire a second time.
    const words = ['-w', file, '-H', this.lab.dockerHost, '--no-drops', ...(filter === '' ? [] : ['-f', filter])]
    return this.capture(process.execPath, [path.join(ROOT, 'bin/netloom.js'), 'capture', target, ...words], 'Ctrl-C ends it')
  }

  private tcpdump(name: string, where: readonly string[], device: string, filter: string): Promise<void> {
    const words = ['-U', '--immediate-mode', '-s', '0', '-Z', 'root', '-i', device, '-w', this.file(name, 'tcpdump.pcap'), filter]
    return this.capture('nsenter', [...where, 'tcpdump', ...words], 'listening on')
  }

  private file(name: string, ending: string): string {
    const file = path.join(this.lab.folder, `${name}.${ending}`)
    this.files.set(name, [...(this.files.get(name) ?? []), file])
    return file
  }

  /** Resolves when it runs. */
  private async capture(command: string, args: readonly string[], ready: string): Promise<void> {
    const child = spawn(command, args, { env: { ...process.env, ...this.lab.environment }, stdio: ['ignore', 'ignore', 'pipe'] })
    const ended = once(child, 'close')
    this.running.push({ child, ended })
    let said = ''
    await new Promise<void>((resolve, reject) => {
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        if ((said += text).includes(ready)) resolve()
      })
      ended.then(() => reject(new Error(`${command} ${args.join(' ')}: ${said}`)), reject)
    })
  }

  private onHost(...command: string[]): string[] {
    return [`--net=/run/netns/${this.lab.prefix}1`, ...command]
  }

  private async within(container: string, ...command: string[]): Promise<string[]> {
    return [`--net=/proc/${await this.lab.ok('inspect', '-f', '{{.State.Pid}}', container)}/ns/net`, ...command]
  }
}

function replaceAll(bytes: Buffer, from: Buffer, to: Buffer): Buffer {
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + to.length)) to.copy(bytes, at)
  return bytes
}

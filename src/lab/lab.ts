/**
 * A lab: networks, virtual hosts, real processes and a capture, in real time or under a virtual clock.
 *
 *     await using lab = await Lab.create({ clock: 'virtual', seed: 7 })
 *     const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
 *     const a = await lan.host('a')
 *     await lan.host('b')
 *     await lab.capture('ping.pcapng')
 *     const { received } = await lab.run(() => a.ping('b'))
 */

import os from 'node:os'
import { compileFilter } from '../capture/filter/compile-filter.ts'
import type { SectionOptions } from '../capture/pcapng-writer.ts'
import type { DnsForwarder } from '../dns/forwarder.ts'
import { type FramePoolOptions, freshSeed, Random, type TraceStep } from '../engine/index.ts'
import { AddressSpace } from '../ipam/address-space.ts'
import { CaptureControl } from '../network/capture-control.ts'
import { NetworkController } from '../network/controller.ts'
import type { NetworkControllerOptions } from '../network/controller-options.ts'
import { elementRegistry } from '../network/element-registry.ts'
import type { EngineHost } from '../network/engine-host.ts'
import { InlineEngine } from '../network/inline-engine.ts'
import type { NetworkSpec } from '../network/network.ts'
import { NetworkError } from '../network/network-error.ts'
import { ThreadedEngine } from '../network/threaded-engine.ts'
import { traceElements } from '../network/trace-control.ts'
import { type FrameWalk, TraceWalks } from '../network/trace-walk.ts'
import { captureFilter } from './capture-filter.ts'
import { hostForwarder } from './host-forwarder.ts'
import { LabCapture, type LabCaptureOptions } from './lab-capture.ts'
import { LabNetwork } from './lab-network.ts'
import { type ExpectOptions, expectFrame, expectNoFrame, type FrameExpectation } from './testing/expectation.ts'
import { Faults } from './testing/faults.ts'
import type { MatchArguments } from './testing/frame-matchers.ts'
import { LabProbe } from './testing/lab-probe.ts'
import { LabScript } from './testing/lab-script.ts'
import type { LabTime } from './testing/lab-time.ts'
import type { SeenFrame } from './testing/seen-frame.ts'

export interface LabOptions {
  /** `real` (default): an engine thread, TAPs and sandboxes work. `virtual`: time moves only in `run` and `advance`. */
  readonly clock?: 'real' | 'virtual'
  /** What it is for, in a line: the section comment of its captures has it beside the seed. */
  readonly description?: string
  /** Names all randomness of the lab. The same seed and script give the same capture under a virtual clock. */
  readonly seed?: number | string
  /** Limits of the frame memory. */
  readonly pool?: FramePoolOptions
  /**
   * The engine's thread runs before all ordinary ones of the machine, as long as it leaves them time: links keep their delays on busy
   * cores. Takes the right to it (root, CAP_SYS_NICE or RLIMIT_RTPRIO), and a real clock. Default false.
   */
  readonly realtime?: boolean
  /**
   * Told when the engine ended by a defect; the lab is closed by then. Without it the error ends the program, as an 'error'
   * event does that nobody listens for.
   */
  readonly onCrash?: (error: Error) => void
  /** Puts a probe between endpoints and networks: expectations and faults work. `withLab` and `netloom sim` do; default false. */
  readonly probe?: boolean
  /** What the control plane is made of otherwise: a way out, with which networks are routed behind a NAT; how names are answered; drivers. */
  readonly control?: Pick<NetworkControllerOptions, 'uplink' | 'nat' | 'dns' | 'forward' | 'drivers'>
  /** Upstream name servers; default: those of the machine's /etc/resolv.conf. Empty: none. Always none in virtual time. */
  readonly upstreams?: readonly string[]
}

/** Counters of one endpoint, as tables show them. */
export interface EndpointReport {
  readonly network: string
  readonly name: string
  readonly ip: string
  readonly mac: string
  readonly rxFrames: number
  readonly rxBytes: number
  readonly txFrames: number
  readonly txBytes: number
  /** Frames of this endpoint that ended early, anywhere, by reason. */
  readonly drops: Readonly<Record<string, number>>
}

/** The session of `Lab.trace`: see EngineHost.trace. */
const LAB_TRACE = 0

export class Lab implements AsyncDisposable {
  readonly seed: number | string
  readonly controller: NetworkController
  private readonly engine: EngineHost
  private readonly script: LabScript
  private probe: LabProbe | null = null
  private scriptFaults: Faults | null = null
  private readonly forwarder: DnsForwarder | null
  private readonly networks = new Map<string, LabNetwork>()
  private readonly closers = new Set<() => Promise<void>>()
  private readonly captures: CaptureControl
  /** What `trace` follows. */
  private followed = new TraceWalks()
  private crashed = false
  private closing: Promise<void> | null = null

  private constructor(options: LabOptions) {
    this.seed = options.seed ?? freshSeed()
    const virtual = isVirtual(options.clock ?? 'real')
    // Before the engine: it may refuse its options, and a thread would be left behind.
    this.forwarder = virtual ? null : hostForwarder(options.upstreams)
    this.engine = virtual
      ? new InlineEngine({ elements: elementRegistry(), seed: this.seed, pool: options.pool })
      : new ThreadedEngine({ seed: this.seed, pool: options.pool, onCrash: (error) => this.crash(error, options.onCrash) })
    this.script = new LabScript(this.engine)
    this.controller = new NetworkController({
      engine: this.engine,
      addresses: new AddressSpace(),
      random: new Random(`${this.seed}/control`),
      forward: async ({ query, tcp, sandbox }) => (await this.forwarder?.forward(query, tcp, undefined, sandbox)) ?? null,
      ...options.control
    })
    this.captures = new CaptureControl({ engine: this.engine, section: aboutCaptures(options.description, this.seed, virtual) })
    this.captures.addHost('', this.controller)
  }

  /** Rejects with NetworkError for a clock or an upstream that is none, and for `realtime` where the kernel refuses it. */
  static async create(options: LabOptions = {}): Promise<Lab> {
    const lab = new Lab(options)
    try {
      // The first answer says that the engine is there.
      await lab.engine.framesInUse()
      if (options.realtime === true) await lab.makeRealtime()
      await lab.controller.start()
      if (options.probe === true) lab.probe = await LabProbe.start(lab.controller)
      return lab
    } catch (error) {
      await lab.close()
      throw error
    }
  }

  get virtual(): boolean {
    return this.engine.virtual
  }

  /** Nanoseconds since the lab's start. */
  get now(): number {
    return this.engine.now()
  }

  /** A bridge network. Rejects for a name or subnet that cannot be or is taken. */
  async network(name: string, options: Omit<NetworkSpec, 'name'> = {}): Promise<LabNetwork> {
    const network = new LabNetwork(this, this.controller, await this.controller.createNetwork({ ...options, name }))
    this.networks.set(name, network)
    return network
  }

  /**
   * Writes every frame that enters a network, once, to a file; or what of them is chosen. Any number at once. Rejects with NetworkError for
   * a target that is not there, with CaptureFilterError, and with CaptureFileError when the file cannot be written.
   */
  async capture(path: string, { onError, filter: text = '', ...wish }: LabCaptureOptions = {}): Promise<LabCapture> {
    // No program is asked in virtual time: the same bytes on any machine.
    const program = text === '' ? undefined : this.virtual ? compileFilter(text) : await captureFilter(text)
    const filter = program === undefined ? {} : { filter: { text, program } }
    const session = await this.captures.open({ ...wish, ...filter }, { path, ...(onError !== undefined && { onError }) })
    return new LabCapture(path, session)
  }

  /**
   * Carries `script` out and lets time pass until it has ended; gives its result. In virtual time this, and `advance`, are
   * the only places where anything happens.
   */
  run<T>(script: () => Promise<T>): Promise<T> {
    return this.engine.settle(script())
  }

  /** Lets `ms` milliseconds pass, outside of `run`. Rejects with NetworkError for what is no span of time. */
  async advance(ms: number): Promise<void> {
    return this.engine.advance(checkedSpan('advance', ms) * 1e6)
  }

  /** For scripts inside `run`: resolves when `ms` milliseconds have passed, while other things happen. Rejects as `advance`. */
  async wait(ms: number): Promise<void> {
    return this.engine.wait(checkedSpan('wait', ms) * 1e6)
  }

  /**
   * Expects that a frame comes: `expectFrame(ipv4({ dst }), udp({ dstPort: 53 }), { within: '2 s' })`. Begin to expect before what sends the
   * frame. Settles with the last frame that was needed, or rejects with ExpectationError. Throws PatternError, and NetworkError without a probe.
   */
  expectFrame(...given: MatchArguments<ExpectOptions>): FrameExpectation<SeenFrame> {
    return this.script.expect(expectFrame(this.needProbe(), this.engine, given))
  }

  /** The opposite: settles when no such frame has come `within` a time, 1 s by default. */
  expectNoFrame(...given: MatchArguments<ExpectOptions>): FrameExpectation<void> {
    return this.script.expect(expectNoFrame(this.needProbe(), this.engine, given))
  }

  /** Breaks things on purpose. Throws NetworkError `unsupported` in a lab without a probe. */
  get faults(): Faults {
    this.scriptFaults ??= new Faults(this.needProbe(), (ns) => this.engine.wait(ns))
    return this.scriptFaults
  }

  /** Does something at an instant, counted from the lab's start: `lab.at('2 s', () => link.cut())`. What it throws fails the lab's script. */
  at(time: LabTime, action: () => unknown): Promise<void> {
    return this.script.at(time, action)
  }

  /** `run` for tests: what was expected is waited for at the end, and what went wrong at a set time ends the script. */
  play<T>(script: () => T | Promise<T>): Promise<T> {
    return this.run(() => this.script.carry(script))
  }

  /** All endpoints with their counters, in the order of networks and endpoints. */
  report(): EndpointReport[] {
    const counted = this.engine.counters()
    return [...this.controller.networks.values()].flatMap((network) =>
      [...network.endpoints.values()].map((endpoint) => {
        const { counters = {}, drops = {}, ingressDrops = {} } = counted.get(endpoint.element) ?? {}
        const all: Record<string, number> = { ...ingressDrops }
        // What ended in the endpoint's own element came from others and does not stand in ingressDrops.
        for (const [reason, count] of Object.entries(drops)) all[reason] = Math.max(all[reason] ?? 0, count)
        return {
          network: network.name,
          name: endpoint.name,
          ip: endpoint.address,
          mac: endpoint.mac,
          rxFrames: counters['rxFrames'] ?? 0,
          rxBytes: counters['rxBytes'] ?? 0,
          txFrames: counters['txFrames'] ?? 0,
          txBytes: counters['txBytes'] ?? 0,
          drops: all
        }
      })
    )
  }

  /**
   * Follows the next `count` frames that enter: anywhere or at one network, endpoint or element (`lan/web`), and of those only what a capture
   * filter takes. `walks` has what became of them. Throws NetworkError and CaptureFilterError.
   */
  async trace(count: number, target?: string, filter?: string): Promise<void> {
    this.followed = new TraceWalks()
    const elements = target === undefined ? {} : { elements: traceElements(this.controller, target) }
    // No other program is asked: a script under a virtual clock is the same on any machine.
    await this.engine.trace({ session: LAB_TRACE, count, ...elements, ...(filter !== undefined && { filter: compileFilter(filter) }) })
  }

  /** What the followed frames met since the last call: element by element, oldest first. */
  async traced(): Promise<TraceStep[]> {
    const steps = await this.engine.traced(LAB_TRACE)
    this.followed.add(steps)
    return steps
  }

  /** The walks of the followed frames since the last call, as far as they have come: what each element did with them. */
  async walks(): Promise<FrameWalk[]> {
    await this.traced()
    return this.followed.takeAll()
  }

  /** Frames that are under way: 0 when the lab is at rest and nothing is leaked. */
  framesInUse(): Promise<number> {
    return this.engine.framesInUse()
  }

  /** Ends everything: sandboxes, attachments, the capture, the engine. */
  close(): Promise<void> {
    this.closing ??= this.end()
    return this.closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** What is to be ended with the lab; returns how to forget it. */
  onClose(closer: () => Promise<void>): () => void {
    this.closers.add(closer)
    return () => {
      this.closers.delete(closer)
    }
  }

  private makeRealtime(): Promise<void> {
    if (this.engine instanceof ThreadedEngine) return this.engine.makeRealtime()
    throw new NetworkError('invalid', 'realtime: under a virtual clock there is no thread that could be late')
  }

  private needProbe(): LabProbe {
    if (this.probe !== null) return this.probe
    throw new NetworkError('unsupported', 'this lab has no probe', { fix: 'make it with probe: true, or by withLab' })
  }

  private async end(): Promise<void> {
    // Each step whatever became of those before: an engine left running would keep the program alive.
    const results: PromiseSettledResult<unknown>[] = await Promise.allSettled([...this.closers].map((closer) => closer()))
    results.push(...(await Promise.allSettled([this.captures.close()])))
    results.push(...(await Promise.allSettled([this.controller.close()])))
    this.forwarder?.close()
    const failed = results.find((result) => result.status === 'rejected')
    // After a crash every step says only that the engine is gone.
    if (failed !== undefined && !this.crashed) throw failed.reason
  }

  private crash(error: Error, tell: ((error: Error) => void) | undefined): void {
    this.crashed = true
    this.close().finally(() => {
      if (tell === undefined) throw error
      tell(error)
    })
  }
}

/** A virtual run names neither program version nor host: its bytes are the same on any machine. */
function aboutCaptures(description = '', seed: number | string, virtual: boolean): SectionOptions {
  const about = { application: 'netloom', comment: description === '' ? `seed ${seed}` : `${description}, seed ${seed}` }
  return virtual ? about : { ...about, hardware: os.machine(), os: `${os.type()} ${os.release()}` }
}

/** Throws NetworkError: a misspelt 'virtual' must not start threads and wait for the machine's clock. */
function isVirtual(clock: string): boolean {
  if (clock === 'virtual' || clock === 'real') return clock === 'virtual'
  throw new NetworkError('invalid', `clock: '${clock}' is neither 'real' nor 'virtual'`)
}

/** Throws NetworkError: NaN, an endless span or one into the past would stop the clock or the timers behind it. */
function checkedSpan(field: string, ms: number): number {
  if (Number.isFinite(ms) && ms >= 0) return ms
  throw new NetworkError('invalid', `${field}: ${ms} is no number of milliseconds from 0 on`)
}

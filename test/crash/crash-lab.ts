// A daemon that is killed and started again, and the model of what it has acknowledged.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Random } from '../../src/engine/random.ts'
import { DaemonProcess } from '../docker/daemon-process.ts'
import { checkState, readState, type State } from './check-state.ts'
import { CrashModel } from './crash-model.ts'
import { type Operation, perform } from './operation.ts'
import { randomOperation, subnetOf } from './random-operation.ts'

/** Beside the gateway's, in a /29. */
const SMALL = 5

/** What Docker refuses with 500 although nothing is wrong with the daemon. */
const REFUSALS = /is not connected to|is not running|marked for removal|no available IPv4 addresses/

export class CrashLab {
  readonly daemon = new DaemonProcess()
  /** What was asked since the last start, with its answer: for the report of a failure. */
  readonly told: string[] = []
  /** Answers that no daemon should give. */
  readonly faults: string[] = []
  private readonly liveRestore: boolean
  private readonly tarball: string
  private model = new CrashModel()

  constructor({ liveRestore }: { liveRestore: boolean }) {
    this.liveRestore = liveRestore
    const folder = path.join(this.daemon.folder, 'image')
    mkdirSync(folder)
    writeFileSync(path.join(folder, 'file'), 'content\n')
    this.tarball = `${folder}.tar`
    execFileSync('tar', ['-C', folder, '-cf', this.tarball, '.'])
  }

  /** `crashPoint` as in src/store/crashing-store. Rejects when it ends before it listens. */
  async start(crashPoint = ''): Promise<void> {
    this.daemon.environment = { NETLOOM_CRASH: crashPoint }
    await this.daemon.start(`--live-restore=${this.liveRestore}`)
  }

  /** Random operations from `workers` at once, until the daemon is killed after `milliseconds`. */
  async killDuring(random: Random, workers: number, milliseconds: number): Promise<void> {
    let isOver = false
    const work = Array.from({ length: workers }, async (_, worker) => {
      const own = random.fork(`worker ${worker}`)
      while (!isOver && (await this.ask(randomOperation(own, this.model, worker)))) {}
    })
    await new Promise((resolve) => setTimeout(resolve, milliseconds))
    isOver = true
    await this.daemon.end('SIGKILL')
    await Promise.all(work)
  }

  /**
   * A fresh daemon dies at the crash point, at its start or over one of the operations, which come one after the other. False when it
   * lived: there are no so many writes.
   */
  async dieAt(crashPoint: string, operations: readonly Operation[]): Promise<boolean> {
    let isAlive = await this.start(crashPoint).then(
      () => true,
      () => false
    )
    // One that does not start must have been killed, not refused.
    if (!isAlive) assert.equal(this.daemon.endSignal, 'SIGKILL', this.daemon.log)
    for (const operation of operations) isAlive &&= await this.ask(operation)
    await this.daemon.end('SIGKILL')
    return !isAlive
  }

  /** False when the daemon died over it. */
  async ask(operation: Operation): Promise<boolean> {
    this.model.inFlight.add(operation)
    try {
      const { status, id, text } = await perform(this.daemon, operation, this.tarball)
      this.told.push(`${JSON.stringify(operation)} ${status} ${status >= 300 ? text.trim() : id.slice(0, 12)}`)
      if (status >= 500 && !REFUSALS.test(text)) this.faults.push(this.told.at(-1)!)
      if (status < 300) this.model.apply(operation, id)
      else this.model.refuse(operation)
      this.model.inFlight.delete(operation)
      return true
    } catch {
      this.told.push(`${JSON.stringify(operation)} no answer`)
      return false
    }
  }

  /** Starts the daemon after a kill, judges it, kills and starts it once more: nothing may be different then. */
  async recover({ twice = true } = {}): Promise<void> {
    assert.deepEqual(this.faults, [], 'answers of a daemon in trouble')
    await this.start()
    const state = await checkState(this.daemon, this.model, this.liveRestore)
    this.adopt(state)
    if (!twice) return
    await this.daemon.end('SIGKILL')
    await this.start()
    const again = await checkState(this.daemon, this.model, this.liveRestore)
    // Without live restore processes, and with them addresses, are new ones.
    if (this.liveRestore) assert.deepEqual(settled(again), settled(state), 'a second start changes something')
    this.told.length = 0
  }

  /** How much this round did: rounds in which nothing happens prove nothing. */
  summary(): string {
    const refused = this.told.filter((line) => / [45]\d\d /.test(line)).length
    return `${this.told.length - this.model.inFlight.size} answers, ${refused} of them refusals, ${this.model.inFlight.size} open`
  }

  /** Fills the small network: as many containers start as it has free addresses, and not one more. */
  async fillSmall(): Promise<void> {
    const network = 'net0'
    const state = await readState(this.daemon)
    const small = state.networks.find(({ Name }) => Name === network)
    if (small === undefined) await this.mustSucceed({ kind: 'network-create', network, subnet: subnetOf(network) })
    const used = Object.keys(small?.Containers ?? {}).length
    for (let i = used; i <= SMALL; i++) {
      const container = `fill-${i}`
      await this.mustSucceed({ kind: 'create', container, network, restarts: false })
      const { status, text } = await perform(this.daemon, { kind: 'start', container }, this.tarball)
      assert.equal(status < 300, i < SMALL, `endpoint ${i + 1} of ${SMALL} on ${network}: ${status} ${text}`)
    }
    for (let i = used; i <= SMALL; i++) await this.mustSucceed({ kind: 'remove', container: `fill-${i}` })
  }

  private async mustSucceed(operation: Operation): Promise<void> {
    const { status, id, text } = await perform(this.daemon, operation, this.tarball)
    assert.ok(status < 300, `${JSON.stringify(operation)}: ${status} ${text}`)
    this.model.apply(operation, id)
  }

  /** What was uncertain is what it turned out to be. */
  private adopt({ containers, networks, tags }: State): void {
    const old = new Map(Array.from(this.model.containers.values(), (container) => [container.id, container]))
    const open = this.model
    this.model = new CrashModel()
    for (const { Name, Id } of networks) if (/^net/.test(Name)) this.model.networks.set(Name, Id)
    for (const [tag, id] of tags) this.model.tags.set(tag, id)
    for (const { Name, Id, HostConfig, State: now, NetworkSettings } of containers) {
      const was = old.get(Id)
      const restarts = was?.restarts ?? HostConfig.RestartPolicy.Name !== 'no'
      // One that its policy starts in vain may run after another start of the daemon; not so when a user stopped it.
      const isStopped = was !== undefined && !was.isRunning && !was.isUnsure && !open.isOpen(was.name, 'start', 'restart')
      this.model.containers.set(Name.slice(1), {
        id: Id,
        name: Name.slice(1),
        restarts,
        isRunning: now.Running,
        isUnsure: restarts && !now.Running && !isStopped,
        networks: new Set(Object.keys(NetworkSettings.Networks))
      })
    }
  }
}

/** Without the sandboxes of containers that do not run: those that their policy starts in vain get a new one each time. */
function settled(state: State): State {
  const containers = state.containers.map((container) =>
    container.State.Running
      ? container
      : { ...container, NetworkSettings: { ...container.NetworkSettings, SandboxID: undefined, SandboxKey: undefined } }
  )
  return { ...state, containers }
}

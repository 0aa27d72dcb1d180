// A daemon that is killed again and again while requests are under way, beside a model of what it has acknowledged. Each worker owns
// its names, so that every answer says what must be true afterwards; a request without an answer leaves its object open until the
// next daemon is asked.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import type { Random } from '../../src/engine/random.ts'
import { type ApiAnswer, ApiConnection } from './api-connection.ts'
import type { DockerLab } from './docker-lab.ts'
import { holdings, labProcesses } from './leak-count.ts'

type Known = { readonly id: string; readonly running: boolean } | 'absent' | 'open'

interface Endpoint {
  readonly IPAddress: string
}

interface Listed {
  readonly Id: string
  readonly Names: string[]
  readonly State: string
  readonly NetworkSettings: { readonly Networks: Record<string, Endpoint> }
}

/** Shared by all workers, always there: 13 addresses for at most 8 containers. */
const COMMON = 'common'

export class CrashWorld {
  private readonly lab: DockerLab
  private readonly random: Random
  private readonly containers = new Map<string, Known>()
  private readonly networks = new Map<string, Known>()
  /** Answers with 5xx, which no sequence of valid requests may give. */
  readonly faults: string[] = []
  acknowledged = 0
  /** Those of the lab itself: of the daemon's host, of the outside services. */
  private ground = new Set<string>()

  constructor(lab: DockerLab, random: Random, workers: number) {
    this.lab = lab
    this.random = random
    for (let worker = 0; worker < workers; worker++) {
      this.networks.set(`net${worker}`, 'absent')
      for (const twin of ['a', 'b']) this.containers.set(`box${worker}${twin}`, 'absent')
    }
  }

  async begin(): Promise<void> {
    this.ground = new Set(labProcesses(this.lab).flatMap((pid) => networkNamespace(pid)))
    await this.lab.ok('network', 'create', '--subnet', '10.66.0.0/28', COMMON)
  }

  /** One worker's requests, one after the other, until the daemon is gone. */
  async work(worker: number): Promise<void> {
    const api = new ApiConnection(this.lab.socket)
    try {
      for (;;) await this.step(api, worker)
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
    } finally {
      api.close()
    }
  }

  private async step(api: ApiConnection, worker: number): Promise<void> {
    const network = `net${worker}`
    const name = `box${worker}${this.random.below(2) === 0 ? 'a' : 'b'}`
    const send = (method: string, path: string, body?: unknown) => api.request(method, path, body)
    switch (this.random.below(9)) {
      case 0:
        return this.change(this.networks, network, () => send('POST', '/networks/create', { Name: network, CheckDuplicate: true }))
      case 1:
        return this.change(this.networks, network, () => send('DELETE', `/networks/${network}`), 'absent')
      case 2:
      case 3: {
        const body = { Image: 'busybox', Cmd: ['sleep', '100000'], HostConfig: { NetworkMode: COMMON } }
        return this.change(this.containers, name, () => send('POST', `/containers/create?name=${name}`, body))
      }
      case 4:
      case 5:
        return this.change(this.containers, name, () => send('POST', `/containers/${name}/start`), 'running')
      case 6:
        return this.change(this.containers, name, () => send('POST', `/containers/${name}/stop?t=0`), 'stopped')
      case 7:
        return this.change(this.containers, name, () => send('DELETE', `/containers/${name}?force=1`), 'absent')
      default: {
        const verb = this.random.below(2) === 0 ? 'connect' : 'disconnect'
        // Changes no state that the model keeps; what it leaves is checked by its endpoints.
        return void this.count(`${verb} ${name}`, await send('POST', `/networks/${network}/${verb}`, { Container: name }))
      }
    }
  }

  private async change(
    all: Map<string, Known>,
    name: string,
    ask: () => Promise<ApiAnswer>,
    to: 'made' | 'running' | 'stopped' | 'absent' = 'made'
  ): Promise<void> {
    const before = all.get(name)!
    all.set(name, 'open')
    const answer = await ask()
    this.count(name, answer)
    // A refusal changes nothing. A stop or start of what is so already is 304.
    if (answer.status >= 400) all.set(name, before)
    else if (to === 'absent') all.set(name, 'absent')
    else if (to === 'made') all.set(name, { id: (JSON.parse(answer.text) as { Id: string }).Id, running: false })
    else if (before !== 'absent' && before !== 'open') all.set(name, { id: before.id, running: to === 'running' })
    else assert.fail(`${name} ${to}: ${answer.status}, but there was none`)
  }

  private count(what: string, { status, text }: ApiAnswer): void {
    this.acknowledged++
    // Docker answers some refusals with 500: a container that is not connected, a network without it.
    if (status >= 500 && !/is not connected to|is not running|marked for removal/.test(text))
      this.faults.push(`${what}: ${status} ${text.trim()}`)
  }

  /** What must hold of a daemon that has just come up; also settles what was open. */
  async check(): Promise<void> {
    const api = new ApiConnection(this.lab.socket)
    try {
      const listed = await api.ok<Listed[]>('GET', '/containers/json?all=1')
      const networks = await api.ok<{ Id: string; Name: string }[]>('GET', '/networks')
      this.settle(
        'container',
        this.containers,
        new Map(listed.map(({ Id, Names, State }) => [Names[0]!.slice(1), { id: Id, running: State === 'running' }]))
      )
      const own = networks.filter(({ Name }) => this.networks.has(Name))
      assert.equal(own.length, new Set(own.map(({ Name }) => Name)).size, 'two networks of one name')
      this.settle('network', this.networks, new Map(own.map(({ Id, Name }) => [Name, { id: Id, running: false }])))
      const running = listed.filter(({ State }) => State === 'running')
      for (const { Id, State, Names } of listed) assert.ok(/^(running|created|exited)$/.test(State), `${Names[0]} ${Id} is ${State}`)
      await this.checkEndpoints(
        api,
        running,
        networks.map(({ Name }) => Name)
      )
      await this.checkProcesses(api, running)
    } finally {
      api.close()
    }
  }

  private settle(kind: string, known: Map<string, Known>, real: ReadonlyMap<string, { id: string; running: boolean }>): void {
    for (const [name, was] of known) {
      const is = real.get(name)
      if (was === 'absent') assert.equal(is, undefined, `${kind} ${name} was removed, and is there`)
      else if (was !== 'open') assert.deepEqual(is, was, `${kind} ${name} is not as acknowledged`)
      known.set(name, is ?? 'absent')
    }
  }

  /** No address twice; networks list exactly the running containers, with the addresses that these have, also inside. */
  private async checkEndpoints(api: ApiConnection, running: readonly Listed[], networks: readonly string[]): Promise<void> {
    const inside = new Map<string, string[]>()
    for (const { Id, Names, NetworkSettings } of running) {
      for (const [network, { IPAddress }] of Object.entries(NetworkSettings.Networks)) {
        inside.set(network, [...(inside.get(network) ?? []), `${Id} ${IPAddress}`])
      }
      const addresses = Object.values(NetworkSettings.Networks)
        .map(({ IPAddress }) => IPAddress)
        .sort()
      const pid = await this.pid(api, Id)
      const shown = spawnSync('nsenter', [`--net=/proc/${pid}/ns/net`, 'ip', '-4', '-o', 'addr', 'show', 'scope', 'global'], {
        encoding: 'utf8'
      })
      assert.equal(shown.status, 0, shown.stderr)
      assert.deepEqual(
        [...shown.stdout.matchAll(/inet ([\d.]+)\//g)].map(([, address]) => address!).sort(),
        addresses,
        `addresses in ${Names[0]}`
      )
    }
    for (const name of networks.filter((each) => !['host', 'none'].includes(each))) {
      const { Containers } = await api.ok<{ Containers: Record<string, { IPv4Address: string }> }>('GET', `/networks/${name}`)
      const members = Object.entries(Containers).map(([id, { IPv4Address }]) => `${id} ${IPv4Address.split('/')[0]}`)
      assert.deepEqual(members.sort(), (inside.get(name) ?? []).sort(), `members of ${name}`)
      const addresses = members.map((member) => member.split(' ')[1])
      assert.equal(new Set(addresses).size, addresses.length, `an address twice on ${name}: ${members.join(', ')}`)
    }
  }

  /** A shim and a network namespace for each running container and no other; a TAP for each endpoint, and the host's own. */
  private async checkProcesses(api: ApiConnection, running: readonly Listed[]): Promise<void> {
    const wanted = new Set<string>()
    for (const { Id } of running) wanted.add(readlinkSync(`/proc/${await this.pid(api, Id)}/ns/net`))
    const endpoints = running.reduce((sum, { NetworkSettings }) => sum + Object.keys(NetworkSettings.Networks).length, 0)
    const listed = await api.ok<{ Driver: string }[]>('GET', '/networks')
    const hosts = listed.filter(({ Driver }) => Driver === 'bridge').length + 1 // netloom0
    let problem = ''
    // What a killed daemon left half-made is ended as the next one comes up; its processes take a moment to go.
    for (let tries = 0; tries < 50; tries++) {
      const spaces = new Set(labProcesses(this.lab).flatMap((pid) => networkNamespace(pid)))
      const strange = [...spaces].filter((space) => !this.ground.has(space) && !wanted.has(space))
      const { taps } = holdings(this.lab)
      const shims = shimCount(this.lab)
      problem = [
        strange.length > 0 ? `${strange.length} network namespaces belong to no running container` : '',
        taps !== endpoints + hosts ? `${taps} TAPs for ${endpoints} endpoints and ${hosts} of the host` : '',
        shims !== running.length ? `${shims} shims for ${running.length} running containers` : ''
      ]
        .filter((each) => each !== '')
        .join('; ')
      if (problem === '') return
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    assert.fail(problem)
  }

  private async pid(api: ApiConnection, id: string): Promise<number> {
    return (await api.ok<{ State: { Pid: number } }>('GET', `/containers/${id}/json`)).State.Pid
  }

  /** Removes all; then every address of the common network can be had again. */
  async end(): Promise<void> {
    const api = new ApiConnection(this.lab.socket)
    const listed = await api.ok<Listed[]>('GET', '/containers/json?all=1')
    for (const { Id } of listed) await api.ok('DELETE', `/containers/${Id}?force=1`)
    for (const [name, known] of this.networks) if (known !== 'absent') await api.ok('DELETE', `/networks/${name}`)
    const made: string[] = []
    const body = { Image: 'busybox', Cmd: ['sleep', '100000'], HostConfig: { NetworkMode: COMMON } }
    for (let index = 0; index < 13; index++) {
      const { Id } = await api.ok<{ Id: string }>('POST', '/containers/create', body)
      made.push(Id)
      await api.ok('POST', `/containers/${Id}/start`)
    }
    for (const id of made) await api.ok('DELETE', `/containers/${id}?force=1`)
    await api.ok('DELETE', `/networks/${COMMON}`)
    api.close()
  }
}

function networkNamespace(pid: number): string[] {
  try {
    return [readlinkSync(`/proc/${pid}/ns/net`)]
  } catch {
    return []
  }
}

/** Shims are known by their program and the lab's folder in their command line or their environment. */
function shimCount(lab: DockerLab): number {
  const pids = new Set(labProcesses(lab))
  const shims = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && pids.has(Number(entry)))
    .filter((entry) => {
      try {
        return /shim/.test(readFileSync(`/proc/${entry}/cmdline`, 'latin1').split('\0')[0]!)
      } catch {
        return false
      }
    })
  // A shim's children before exec look like it.
  const parents = shims.map((entry) => {
    try {
      return /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${entry}/status`, 'latin1'))?.[1]
    } catch {
      return undefined
    }
  })
  return shims.filter((_, index) => !shims.includes(parents[index] ?? '')).length
}

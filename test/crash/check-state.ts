// Whether a daemon that came up after a kill has what the model knows, and nothing beside it.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { type DaemonProcess, until } from '../docker/daemon-process.ts'
import type { CrashModel, ModelContainer } from './crash-model.ts'

interface Endpoint {
  readonly NetworkID: string
  readonly IPAddress: string
  readonly IPPrefixLen: number
}

export interface Inspected {
  readonly Id: string
  readonly Name: string
  readonly Config: { readonly Image: string }
  readonly HostConfig: { readonly RestartPolicy: { readonly Name: string } }
  readonly State: { readonly Running: boolean; readonly Pid: number; readonly Status: string }
  readonly NetworkSettings: { readonly Networks: Record<string, Endpoint> }
}

interface Network {
  readonly Id: string
  readonly Name: string
  readonly Driver: string
  readonly Containers: Record<string, { readonly IPv4Address: string }>
}

/** What a daemon says of everything. */
export interface State {
  readonly containers: readonly Inspected[]
  readonly networks: readonly Network[]
  /** Image ids by tag. */
  readonly tags: ReadonlyMap<string, string>
}

export async function readState(daemon: DaemonProcess): Promise<State> {
  const get = async <T>(target: string): Promise<T> => {
    const { status, body } = await daemon.api('GET', `/v1.41${target}`)
    assert.equal(status, 200, `GET ${target}: ${body}`)
    return JSON.parse(body) as T
  }
  const ids = (await get<{ Id: string }[]>('/containers/json?all=1')).map(({ Id }) => Id)
  const containers = await Promise.all(ids.sort().map((id) => get<Inspected>(`/containers/${id}/json`)))
  const listed = await get<Network[]>('/networks')
  const networks = await Promise.all(listed.map(({ Id }) => get<Network>(`/networks/${Id}`)))
  const images = await get<{ Id: string; RepoTags: string[] | null }[]>('/images/json')
  const tags = images.flatMap(({ Id, RepoTags }) => (RepoTags ?? []).map((tag) => [tag.replace(/:latest$/, ''), Id] as const))
  return { containers, networks, tags: new Map(tags.filter(([tag]) => /^i\d/.test(tag))) }
}

/** Throws at the first thing that is wrong. `liveRestore`: as the daemon was started this time. */
export async function checkState(daemon: DaemonProcess, model: CrashModel, liveRestore: boolean): Promise<State> {
  const state = await readState(daemon)
  checkNetworks(state, model)
  checkContainers(state, model, liveRestore)
  checkTags(state, model)
  checkAddresses(state)
  checkNames(state)
  await checkLeftovers(daemon, state)
  return state
}

function checkNetworks({ networks }: State, model: CrashModel): void {
  const names = networks.map(({ Name }) => Name)
  assert.equal(new Set(names).size, names.length, `networks twice: ${names}`)
  for (const name of ['bridge', 'host', 'none']) assert.ok(names.includes(name), `${name} is missing`)
  for (const [name, id] of model.networks) {
    if (model.isOpen(name, 'network-remove')) continue
    assert.equal(networks.find(({ Name }) => Name === name)?.Id, id, `network ${name} was acknowledged`)
  }
  for (const name of names) {
    const isKnown = ['bridge', 'host', 'none'].includes(name) || model.networks.has(name)
    assert.ok(isKnown || model.isOpen(name, 'network-create'), `network ${name} was removed, or never asked for`)
  }
}

function checkContainers({ containers, networks }: State, model: CrashModel, liveRestore: boolean): void {
  const known = new Map(Array.from(model.containers.values(), (container) => [container.id, container]))
  for (const inspected of containers) {
    const name = inspected.Name.slice(1)
    const container = known.get(inspected.Id)
    if (container === undefined) {
      assert.ok(model.isOpen(name, 'create'), `container ${name} was removed, or never asked for`)
      assert.equal(inspected.State.Running, false, `${name} runs, nobody started it`)
      continue
    }
    assert.ok(name === container.name || model.isOpen(name, 'rename'), `container ${container.name} is named ${name}`)
    checkRunning(inspected, container, model, liveRestore)
    if (!inspected.State.Running) continue
    for (const network of container.networks) {
      if (model.isOpen(network, 'disconnect', 'network-remove') || !networks.some(({ Name }) => Name === network)) continue
      const endpoint = inspected.NetworkSettings.Networks[network]
      assert.ok(endpoint !== undefined, `${name} was connected to ${network}`)
      if (network !== 'none') assert.notEqual(endpoint.IPAddress, '', `${name} on ${network} has no address`)
    }
  }
  for (const { id, name } of known.values()) {
    const isThere = containers.some(({ Id }) => Id === id)
    assert.ok(isThere || model.isOpen(name, 'remove'), `container ${name} was acknowledged and is gone`)
  }
}

function checkRunning({ State: { Running, Status } }: Inspected, container: ModelContainer, model: CrashModel, liveRestore: boolean): void {
  const { name, isRunning, isUnsure, restarts } = container
  if (isUnsure || model.isOpen(name, 'start', 'stop', 'kill', 'restart', 'remove')) return
  const expected = isRunning && (liveRestore || restarts)
  assert.equal(Running, expected, `${name} is ${Status}; it was ${isRunning ? 'running' : 'not running'}, restarts: ${restarts}`)
}

function checkTags({ tags }: State, model: CrashModel): void {
  for (const [tag, id] of model.tags) {
    if (!model.isOpen(tag, 'untag')) assert.equal(tags.get(tag), id, `image ${tag} was acknowledged`)
  }
  for (const tag of tags.keys()) {
    assert.ok(model.tags.has(tag) || model.isOpen(tag, 'import', 'tag'), `image ${tag} was removed, or never asked for`)
  }
}

/** What the API says, in both directions, is what interfaces have, and nobody shares an address. */
function checkAddresses({ containers, networks }: State): void {
  const taken = new Map<string, string>()
  for (const { Name, State, NetworkSettings, Id } of containers) {
    const endpoints = Object.entries(NetworkSettings.Networks)
    for (const [network, { IPAddress, IPPrefixLen }] of endpoints) {
      if (IPAddress === '') continue
      assert.ok(State.Running, `${Name} does not run and holds ${IPAddress}`)
      assert.equal(taken.get(`${network} ${IPAddress}`), undefined, `${IPAddress} of ${network} is held twice`)
      taken.set(`${network} ${IPAddress}`, Name)
      const resource = networks.find((candidate) => candidate.Name === network)
      assert.equal(resource?.Containers[Id]?.IPv4Address, `${IPAddress}/${IPPrefixLen}`, `${network} says otherwise of ${Name}`)
    }
    if (!State.Running) continue
    const interfaces = JSON.parse(inNamespace(State.Pid, 'ip', '-j', '-4', 'addr')) as {
      ifname: string
      addr_info: { local: string; prefixlen: number }[]
    }[]
    const real = interfaces.filter(({ ifname }) => ifname !== 'lo').flatMap((one) => one.addr_info.map((a) => `${a.local}/${a.prefixlen}`))
    const said = endpoints.filter(([, { IPAddress }]) => IPAddress !== '').map(([, e]) => `${e.IPAddress}/${e.IPPrefixLen}`)
    assert.deepEqual(real.sort(), said.sort(), `addresses inside ${Name}`)
  }
  for (const { Name, Containers } of networks) {
    for (const [id, { IPv4Address }] of Object.entries(Containers)) {
      if (Name === 'none' || Name === 'host') continue
      assert.ok(taken.has(`${Name} ${IPv4Address.split('/')[0]}`), `${Name} gives ${IPv4Address} to ${id}, which does not know`)
    }
  }
}

/** On each user-defined network one container finds all the others. */
function checkNames({ containers, networks }: State): void {
  for (const { Name } of networks) {
    if (['bridge', 'host', 'none'].includes(Name)) continue
    const there = containers.filter(
      ({ State, NetworkSettings }) => State.Running && (NetworkSettings.Networks[Name]?.IPAddress ?? '') !== ''
    )
    if (there.length === 0) continue
    const names = there.map((container) => `${container.Name.slice(1)}.${Name}`)
    const answer = inNamespace(there[0]!.State.Pid, 'dig', '@127.0.0.11', '+short', '+time=60', '+tries=1', ...names)
    const expected = there.map(({ NetworkSettings }) => NetworkSettings.Networks[Name]!.IPAddress)
    assert.deepEqual(answer.trim().split('\n'), expected, `names on ${Name}: ${names}`)
  }
}

function inNamespace(pid: number, ...command: string[]): string {
  return execFileSync('nsenter', ['-t', String(pid), '-n', ...command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Files, processes, namespaces, TAPs and mounts follow from the containers that are there. */
async function checkLeftovers(daemon: DaemonProcess, { containers, networks, tags }: State): Promise<void> {
  const running = containers.filter(({ State }) => State.Running)
  const entries = (...folder: string[]): string[] => {
    const full = path.join(daemon.state, ...folder)
    return existsSync(full) ? readdirSync(full).sort() : []
  }
  assert.deepEqual(entries('containers'), containers.map(({ Id }) => Id).sort(), 'directories of containers')
  assert.deepEqual(entries('run'), running.map(({ Id }) => `${Id.slice(0, 12)}.sock`).sort(), 'sockets of shims')
  assert.deepEqual(entries('images', 'partial'), [], 'imports that were broken off')
  assert.ok(entries('images', 'layers').length <= new Set(tags.values()).size, 'layers of no image')
  const endpoints = networks.flatMap(({ Name, Containers }) => (Name === 'none' ? [] : Object.keys(Containers))).length
  // The host's own: one on each bridge network, and netloom0.
  const hosts = networks.filter(({ Driver }) => Driver === 'bridge').length + 1
  let found = {}
  const expected = { shims: running.length, orphans: 0, taps: endpoints + hosts, mounts: 0 }
  // Processes that were ended need a moment.
  await until('nothing is left of containers that do not run', () => {
    found = { shims: daemon.shims().length, orphans: orphans(daemon, running).length, taps: taps(daemon.pid), mounts: mounts(daemon) }
    return JSON.stringify(found) === JSON.stringify(expected)
  }).catch(() => assert.deepEqual(found, expected))
}

/** Processes in a network namespace or with a root of a container that does not run. */
function orphans(daemon: DaemonProcess, running: readonly Inspected[]): string[] {
  const shims = new Set(daemon.shims())
  const namespaces = new Set(running.map(({ State }) => link(`/proc/${State.Pid}/ns/mnt`)))
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || shims.has(Number(pid)) || namespaces.has(link(`/proc/${pid}/ns/mnt`))) return false
    return read(`/proc/${pid}/mountinfo`).includes(`upperdir=${daemon.state}/containers/`)
  })
}

function taps(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => link(`/proc/${pid}/fd/${fd}`) === '/dev/net/tun').length
}

function mounts(daemon: DaemonProcess): number {
  return read(`/proc/${daemon.pid}/mountinfo`).split(`${daemon.state}/`).length - 1
}

function link(file: string): string {
  try {
    return readlinkSync(file)
  } catch {
    return ''
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

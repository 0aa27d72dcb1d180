import { mkdir, rm } from 'node:fs/promises'
import { ApiError } from '../../api/api-error.ts'
import type { ListOptions } from '../../api/container-backend.ts'
import type { ContainerInspect, ContainerSummary, CreateResponse } from '../../api/container-json.ts'
import type { CreateBody, updateBody } from '../../api/container-shapes.ts'
import type { Decoded } from '../../api/decode.ts'
import type { Filters } from '../../api/filters.ts'
import type { Image } from '../../image/image.ts'
import { fitsPlatform, formatPlatform, type Platform, parsePlatform } from '../../image/platform.ts'
import { newDockerId } from '../docker-id.ts'
import { emptyNetworking } from '../network/container-networking.ts'
import { checkNetworking } from '../network/networking-checks.ts'
import { Container } from './container.ts'
import type { ContainerContext } from './container-context.ts'
import { inspectJson, summaryJson, writtenBytes } from './container-inspect.ts'
import { selectContainers } from './container-list.ts'
import { planMounts } from './container-mounts.ts'
import { checkedName, randomName } from './container-name.ts'
import type { ContainerRunner } from './container-runner.ts'
import { formatTime, newState, parseTime } from './container-status.ts'
import { completeHostConfig, mergeConfig } from './create-config.ts'
import { logOptions } from './log-options.ts'
import { verifyConfig, verifyHostConfig, verifyRestartPolicy } from './verify-create.ts'

export interface RemoveOptions {
  readonly force: boolean
  readonly volumes: boolean
  readonly link: boolean
}

/** The records of containers: create, show, change, remove. What runs is the ContainerRunner's. */
export class ContainerRecords {
  private readonly context: ContainerContext
  private readonly runner: ContainerRunner

  constructor(context: ContainerContext, runner: ContainerRunner) {
    this.context = context
    this.runner = runner
    runner.remove = (container) => this.removeStopped(container, true)
  }

  /** `name` empty: a random one. Throws ApiError; nothing is left then. */
  async create(name: string, body: CreateBody, platform = ''): Promise<CreateResponse> {
    const wanted = platform === '' ? null : parsePlatform(platform)
    const { config: asked, hostConfig: host } = body
    if (asked === null) throw ApiError.badRequest('Config cannot be empty in order to create a container')
    verifyConfig(asked)
    const hostConfig = completeHostConfig(host)
    const warnings = host === null ? [] : verifyHostConfig(host)
    logOptions(hostConfig.LogConfig)
    const { images, registry, networking } = this.context.options
    const { Hostname, MacAddress, ExposedPorts } = asked
    const request = { Hostname, MacAddress, ExposedPorts, HostConfig: host, NetworkingConfig: body.NetworkingConfig }
    checkNetworking(request) // before names, whose errors come last
    if (asked.Image === '' && !asked.Cmd?.length && !asked.Entrypoint?.length) throw ApiError.badRequest('No command specified')
    const image = await images.resolve(asked.Image)
    if (wanted !== null) checkPlatform(image, asked.Image, wanted)
    const config = mergeConfig(asked, image.config)
    const command = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])]
    if (command.length === 0) throw noCommand(image, asked.Image)

    const id = this.newId()
    const finalName = this.reserveName(name, id)
    try {
      const { points, anonymous } = planMounts(config, hostConfig, {
        volumesDirectory: this.context.options.volumesDirectory,
        newId: () => newDockerId(this.context.options.random),
        find: (reference) => registry.find(reference)
      })
      const record = {
        id,
        name: finalName,
        created: formatTime(this.context.now()),
        config,
        hostConfig,
        state: newState(),
        networking: emptyNetworking(),
        image: { id: image.id, name: asked.Image, layers: image.isHost ? ('host' as const) : image.layers },
        path: command[0]!,
        args: command.slice(1),
        mounts: points,
        anonymousVolumes: anonymous,
        restartCount: 0,
        manuallyStopped: false,
        linkedEnvironment: []
      }
      const container = new Container(record, this.context.directoryOf(id), this.context.options.store)
      warnings.push(...networking.prepare(container, request))
      await mkdir(container.directory, { mode: 0o710 })
      await container.save()
      registry.add(container)
      this.context.publish(container, 'create')
      return { Id: id, Warnings: warnings }
    } catch (error) {
      registry.release(finalName, id)
      throw error
    }
  }

  rename(reference: string, name: string): Promise<void> {
    const { registry, networking } = this.context.options
    const container = registry.find(reference)
    if (name === '') throw ApiError.badRequest('Neither old nor new names may be empty')
    return container.exclusive(async () => {
      const oldName = container.name
      if (name === oldName || name === `/${oldName}`) {
        throw ApiError.badRequest('Renaming a container with the same name as its current name')
      }
      try {
        registry.reserve(checkedName(`/${name.replace(/^\//, '')}`), container.id)
      } catch (error) {
        const { status, message } = error as ApiError
        throw new ApiError(status, `Error when allocating new name: ${message}`)
      }
      container.name = name.replace(/^\//, '')
      try {
        await networking.renamed(container, oldName)
        await container.save()
      } catch (error) {
        registry.release(container.name, container.id)
        container.name = oldName
        throw error
      }
      registry.release(oldName, container.id)
      this.context.publish(container, 'rename', { oldName: `/${oldName}` })
    })
  }

  async remove(reference: string, { force, volumes, link }: RemoveOptions): Promise<void> {
    if (link) throw ApiError.notImplemented('removing a link of the default bridge is outside of what netloom does: remove the container')
    const container = this.context.options.registry.find(reference)
    const { id, state } = container
    if (container.isBeingRemoved) throw ApiError.conflict(`removal of container ${reference} is already in progress`)
    if (state.Running && !force) {
      const advice = 'Stop the container before attempting removal or force remove'
      const procedure = state.Paused ? `Unpause and then ${advice.charAt(0).toLowerCase()}${advice.slice(1)}` : advice
      throw ApiError.conflict(`You cannot remove a ${state.Status} container ${id}. ${procedure}`)
    }
    for (;;) {
      if (state.Running) {
        container.keepAtExit = true // else its own end would remove it first, and this call find nothing
        await this.runner.kill(container, '').catch((error: ApiError) => {
          if (error.status !== 409) throw error
        })
      }
      const isGone = await container.exclusive(async () => {
        if (this.context.options.registry.get(id) !== container) return true
        if (state.Running && !force) throw ApiError.conflict(`container ${id} was started again while it was to be removed`)
        // With force it is killed again: a start was under way when this call came.
        if (!state.Running) await this.removeStopped(container, volumes)
        return !state.Running
      })
      if (isGone) return
    }
  }

  async list(options: ListOptions): Promise<ContainerSummary[]> {
    const { networking } = this.context.options
    const now = this.context.now()
    const chosen = selectContainers(options, this.context.options)
    const summaries = chosen.map((container) => summaryJson(container, networking, now))
    if (!options.size) return summaries
    return Promise.all(summaries.map(async (summary, i) => ({ ...summary, ...(await this.sizes(chosen[i]!)) })))
  }

  async inspect(reference: string, size: boolean): Promise<ContainerInspect> {
    const container = this.context.options.registry.find(reference)
    const json = inspectJson(container, this.context.options.networking)
    return size ? { ...json, ...(await this.sizes(container)) } : json
  }

  /** The restart policy; limits stay as they were made. */
  update(reference: string, change: Decoded<typeof updateBody>): Promise<{ Warnings: string[] }> {
    const container = this.context.options.registry.find(reference)
    const { RestartPolicy, ...limits } = change
    if (Object.values(limits).some((value) => value !== 0 && value !== '' && value !== null)) {
      throw ApiError.notImplemented(
        'changing the limits of a container is outside of what netloom does: only its restart policy can change'
      )
    }
    verifyRestartPolicy(RestartPolicy)
    return container.exclusive(async () => {
      if (RestartPolicy.Name !== '') {
        if (container.hostConfig.AutoRemove && RestartPolicy.Name !== 'no') {
          throw ApiError.badRequest('Restart policy cannot be updated because AutoRemove is enabled for the container')
        }
        const before = container.hostConfig.RestartPolicy
        container.hostConfig.RestartPolicy = { ...RestartPolicy }
        await container.save().catch((error) => {
          container.hostConfig.RestartPolicy = before
          throw error
        })
      }
      this.context.publish(container, 'update')
      return { Warnings: [] }
    })
  }

  /** Removes what does not run and matches. */
  async prune(filters: Filters): Promise<{ ContainersDeleted: string[] | null; SpaceReclaimed: number }> {
    filters.check(['label', 'label!', 'until'])
    const until = this.pruneBound(filters)
    const deleted: string[] = []
    let SpaceReclaimed = 0
    for (const container of [...this.context.options.registry.all()]) {
      const { state, config, created, id } = container
      if (state.Running || container.isBeingRemoved || !filters.matchLabels(config.Labels)) continue
      if (filters.get('label!').length > 0 && filters.matchLabels(config.Labels, 'label!')) continue
      if (until !== null && parseTime(created) > until) continue
      const bytes = await writtenBytes(container)
      await this.remove(id, { force: false, volumes: false, link: false }).then(
        () => {
          deleted.push(id)
          SpaceReclaimed += bytes
        },
        (error: Error) => this.context.options.log(`prune: ${error.message}`)
      )
    }
    this.context.options.events.publish('container', 'prune', { id: '', attributes: { reclaimed: String(SpaceReclaimed) } })
    return { ContainersDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed }
  }

  /** With the container's lock held. First the record, then the files: files without a record are swept at the next start. */
  private async removeStopped(container: Container, volumes: boolean): Promise<void> {
    const { store, registry, networking, images, log } = this.context.options
    if (container.isBeingRemoved) return
    container.isBeingRemoved = true
    const before = container.state.Status
    container.state.Status = 'removing'
    try {
      await networking.remove(container)
      await store.write([{ remove: `container/${container.id}` }])
    } catch (error) {
      container.isBeingRemoved = false
      container.state.Status = before
      throw error
    }
    registry.delete(container)
    for (const path of [container.directory, ...(volumes ? this.orphans(container) : [])]) {
      await rm(path, { recursive: true, force: true }).catch((error: Error) => log(`${path} is left: ${error.message}`))
    }
    await images.release(container.image.id)
    this.context.publish(container, 'destroy')
    container.moments.reached('removed')
  }

  /** Directories of volumes that went with a container. As in Docker one stays that another container, by --volumes-from, still has. */
  private orphans({ anonymousVolumes }: Container): string[] {
    if (anonymousVolumes.length === 0) return []
    const { registry, volumesDirectory } = this.context.options
    const used = new Set(Array.from(registry.all(), ({ mounts }) => mounts.map(({ Name }) => Name)).flat())
    return anonymousVolumes.filter((name) => !used.has(name)).map((name) => `${volumesDirectory}/${name}`)
  }

  private async sizes(container: Container): Promise<{ SizeRw: number; SizeRootFs: number }> {
    const SizeRw = await writtenBytes(container)
    const imageSize = this.context.options.images.ofContainer(container.image.id)?.size ?? 0
    return { SizeRw, SizeRootFs: SizeRw + imageSize }
  }

  private newId(): string {
    const { random, registry } = this.context.options
    for (;;) {
      const id = newDockerId(random)
      if (registry.get(id) === undefined) return id
    }
  }

  private reserveName(name: string, id: string): string {
    const { random, registry } = this.context.options
    const chosen = name === '' ? randomName(random, (word) => registry.ownerOf(word) !== undefined) : checkedName(name)
    registry.reserve(chosen, id)
    return chosen
  }

  /** ns since 1970, of 'until=24h', a time or seconds. */
  private pruneBound(filters: Filters): bigint | null {
    const [text, ...more] = filters.get('until')
    if (text === undefined) return null
    if (more.length > 0) throw ApiError.badRequest('more than one until filter specified')
    const span = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text)
    if (span !== null && text !== '') {
      const seconds = Number(span[1] ?? 0) * 3600 + Number(span[2] ?? 0) * 60 + Number(span[3] ?? 0)
      return this.context.now() - BigInt(seconds) * 1_000_000_000n
    }
    if (/^\d+$/.test(text)) return BigInt(text) * 1_000_000_000n
    const time = Date.parse(text)
    if (Number.isNaN(time)) throw ApiError.internal(`failed to parse value as time or duration: ${JSON.stringify(text)}`)
    return BigInt(time) * 1_000_000n
  }
}

function noCommand(image: Image, name: string): ApiError {
  const advice = image.isHost
    ? `: no image ${name} was imported, so that only the host's own files are there. Give a command, or import the image: docker import FILE ${name}`
    : ''
  return ApiError.badRequest(`No command specified${advice}`)
}

/** Docker has no image of that name then, and its client asks a registry for one. */
function checkPlatform({ os, architecture }: Image, name: string, wanted: Platform): void {
  const actual = { os, architecture, variant: '' }
  if (fitsPlatform(actual, wanted)) return
  const [want, is] = [formatPlatform(wanted), formatPlatform(actual)]
  throw ApiError.notFound(`image with reference ${name} was found but does not match the specified platform: wanted ${want}, actual: ${is}`)
}

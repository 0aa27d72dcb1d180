/** Containers as Docker's API shows them. */
import { readdir, stat } from 'node:fs/promises'
import type { ContainerInspect, ContainerSummary } from '../../api/container-json.ts'
import type { ContainerNetworkService } from '../network/container-network-service.ts'
import type { Container } from './container.ts'
import { NEVER, statusText } from './container-status.ts'

export function inspectJson(container: Container, networking: ContainerNetworkService): ContainerInspect {
  const { id, created, path, args, state, image, directory, name, restartCount, hostConfig, mounts, config, execIds } = container
  const wasStarted = state.StartedAt !== NEVER
  const file = (file: string): string => (wasStarted ? `${directory}/${file}` : '')
  return {
    Id: id,
    Created: created,
    Path: path,
    Args: [...args],
    State: state,
    Image: image.id,
    ResolvConfPath: file('resolv.conf'),
    HostnamePath: file('hostname'),
    HostsPath: file('hosts'),
    LogPath: hostConfig.LogConfig.Type === 'none' ? '' : file('log'),
    Name: `/${name}`,
    RestartCount: restartCount,
    Driver: 'overlay2',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: execIds.size === 0 ? null : [...execIds],
    HostConfig: hostConfig,
    GraphDriver: { Data: layerPaths(container), Name: 'overlay2' },
    Mounts: [...mounts],
    Config: config,
    NetworkSettings: networking.settings(container)
  }
}

/** `now`: ns since 1970. */
export function summaryJson(container: Container, networking: ContainerNetworkService, now: bigint): ContainerSummary {
  const { id, name, image, path, args, createdAt, config, hostConfig, state, mounts } = container
  return {
    Id: id,
    Names: [`/${name}`],
    Image: image.name,
    ImageID: image.id,
    Command: [path, ...args.map((word) => (word.includes(' ') ? `'${word}'` : word))].join(' '),
    Created: Number(createdAt / 1_000_000_000n),
    Ports: networking.ports(container),
    Labels: config.Labels ?? {},
    State: state.Status,
    Status: statusText(state, now),
    HostConfig: { NetworkMode: hostConfig.NetworkMode },
    NetworkSettings: { Networks: networking.networks(container) },
    Mounts: [...mounts]
  }
}

/** Bytes that the container wrote into its root. */
export async function writtenBytes(container: Container): Promise<number> {
  return treeBytes(`${container.directory}/root/upper`)
}

function layerPaths({ directory, image }: Container): Record<string, string> {
  const layers = image.layers === 'host' ? ['/'] : [...image.layers].reverse()
  const root = `${directory}/root`
  return { LowerDir: layers.join(':'), MergedDir: `${root}/merged`, UpperDir: `${root}/upper`, WorkDir: `${root}/work` }
}

/** Of all files in it; what disappears meanwhile counts nothing. */
async function treeBytes(directory: string): Promise<number> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => [])
  let total = 0
  for (const entry of entries) {
    const path = `${directory}/${entry.name}`
    if (entry.isDirectory()) total += await treeBytes(path)
    else if (entry.isFile())
      total += await stat(path)
        .then(({ size }) => size)
        .catch(() => 0)
  }
  return total
}

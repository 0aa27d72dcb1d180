/** A container as a row of `ps`. */
import type { ContainerSummary } from '../../api/container-json.ts'
import { displayPorts } from './display-ports.ts'
import { ellipsis, goTime, humanDuration, humanSize, shortId } from './human-units.ts'

export const CONTAINER_TABLE = '{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}'

export const CONTAINER_HEADERS = {
  ID: 'CONTAINER ID',
  Image: 'IMAGE',
  Command: 'COMMAND',
  CreatedAt: 'CREATED AT',
  RunningFor: 'CREATED',
  Ports: 'PORTS',
  State: 'STATE',
  Status: 'STATUS',
  Size: 'SIZE',
  Names: 'NAMES',
  Labels: 'LABELS',
  Mounts: 'MOUNTS',
  LocalVolumes: 'LOCAL VOLUMES',
  Networks: 'NETWORKS',
  Platform: 'PLATFORM'
}

/** `now`: milliseconds since 1970. */
export function containerRow(container: ContainerSummary, isShort: boolean, now: number): object {
  const { Id, Created, State, Status, SizeRw = 0, SizeRootFs = 0 } = container
  const labels = container.Labels ?? {}
  const size = humanSize(SizeRw)
  return {
    ID: isShort ? shortId(Id) : Id,
    Image: imageName(container, isShort),
    Command: JSON.stringify(isShort ? ellipsis(container.Command, 20) : container.Command),
    CreatedAt: goTime(Created * 1000),
    RunningFor: `${humanDuration(now / 1000 - Created)} ago`,
    Ports: displayPorts(container.Ports ?? []),
    State,
    Status,
    Size: SizeRootFs > 0 ? `${size} (virtual ${humanSize(SizeRootFs)})` : size,
    Names: names(container, isShort).join(','),
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    Mounts: (container.Mounts ?? []).map(({ Name, Source }) => (isShort ? ellipsis(Name || Source, 15) : Name || Source)).join(','),
    LocalVolumes: String((container.Mounts ?? []).filter(({ Driver }) => Driver === 'local').length),
    Networks: Object.keys(container.NetworkSettings?.Networks ?? {}).join(','),
    Platform: null,
    Label: (key: unknown) => labels[String(key)] ?? ''
  }
}

/** Links are names too, with a slash in them: only whole lists show those. */
function names({ Names }: ContainerSummary, isShort: boolean): string[] {
  return Names.map((name) => name.replace(/^\//, '')).filter((name) => !isShort || !name.includes('/'))
}

/** An image that lost its name is shown by its id. */
function imageName({ Image, ImageID }: ContainerSummary, isShort: boolean): string {
  if (Image === '') return '<no image>'
  return isShort && shortId(ImageID) === shortId(Image) && /^[a-f0-9]{64}$/.test(Image.replace(/^sha256:/, '')) ? shortId(Image) : Image
}

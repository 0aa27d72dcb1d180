/** What Wireshark's list of interfaces shows of us: every network and point of the daemons that answer. */
import { Client } from '../../client/client.ts'
import { CliError } from '../cli-error.ts'

export interface ExtcapInterface {
  /** Wireshark's name for it: 'netloom:lan/web'. */
  readonly value: string
  /** What the list shows. */
  readonly display: string
}

/** A daemon that may run, and how its interfaces are called. */
export interface DaemonPlace {
  /** 'netloom', or 'netloom-system'. */
  readonly prefix: string
  readonly host: string
}

/** Docker's networks that have no frames. */
const FRAMELESS = new Set(['host', 'null'])

/** The daemon that `--host`, NETLOOM_HOST or this user's own would be, and the one of the machine. */
export function daemonPlaces(own: string): DaemonPlace[] {
  const system = 'unix:///run/netloom/netloom.sock'
  return [{ prefix: 'netloom', host: own }, ...(own === system ? [] : [{ prefix: 'netloom-system', host: system }])]
}

/** Those of all daemons that answer; of the others nothing is said, since Wireshark asks at every start. */
export async function listInterfaces(places: readonly DaemonPlace[]): Promise<ExtcapInterface[]> {
  const lists = await Promise.all(places.map((place) => interfacesOf(place).catch(() => [])))
  return lists.flat()
}

async function interfacesOf({ prefix, host }: DaemonPlace): Promise<ExtcapInterface[]> {
  const client = new Client(host)
  const [points, networks] = await Promise.all([client.captures.points(), client.networks.list()])
  const named = (name: string, display: string): ExtcapInterface => ({ value: `${prefix}:${name}`, display: plain(`${prefix} ${display}`) })
  const docker = networks.filter(({ Driver }) => !FRAMELESS.has(Driver)).map(({ Name }) => Name)
  // Of a lab also its LANs, and networks of its other hosts.
  const others = points.flatMap(({ network }) => (network === undefined ? [] : [network]))
  return [
    named('all', 'everything'),
    ...[...new Set([...docker, ...others])].map((name) => named(name, `network ${name}`)),
    ...points.map(({ name, addresses, description }) => {
      const about = [description, ...addresses].filter((text) => text !== '' && text !== name).join(', ')
      return named(name, about === '' ? name : `${name} (${about})`)
    })
  ]
}

/** The daemon and the target that a name of `listInterfaces` means. Throws CliError. */
export function resolveInterface(value: string | undefined, places: readonly DaemonPlace[]): { host: string; target: string } {
  const colon = value?.indexOf(':') ?? -1
  const place = places.find(({ prefix }) => prefix === value?.slice(0, Math.max(0, colon)))
  if (value === undefined || place === undefined || colon === value.length - 1) {
    throw new CliError(`'${value ?? ''}' is no interface of netloom's`, {
      code: 'ERR_EXTCAP_INTERFACE',
      fix: '`netloom extcap --extcap-interfaces` lists them'
    })
  }
  return { host: place.host, target: value.slice(colon + 1) }
}

/** Braces and line ends would end a sentence of the protocol. */
function plain(text: string): string {
  return text.replace(/[{}\r\n]/g, ' ')
}

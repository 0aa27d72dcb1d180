/** `netloom network ...`: Docker's commands for networks. */
import { type Command, Option } from 'commander'
import type { NetworkCreateRequest, NetworkResource } from '../../api/network-json.ts'
import type { Client } from '../../client/client.ts'
import { CliError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { confirm } from '../docker/confirm.ts'
import { collect, dockerCommand, forEach, type HostOption, openClient, readFilters, readPairs } from '../docker/docker-command.ts'
import { intFlag } from '../docker/flag-value.ts'
import { compareNaturally, goTimeOf, shortId } from '../docker/human-units.ts'
import { printInspected } from '../docker/inspect-output.ts'
import { printList } from '../docker/list-output.ts'

export function registerNetwork(program: Command, context: CliContext): void {
  const group = program
    .command('network')
    .description("make, join and look at networks, with docker's words")
    .helpGroup(CommandGroup.docker)
    .helpCommand(false)
  registerCreate(group, context)
  registerList(group, context)
  dockerCommand(group, 'inspect', 'all that is known of networks')
    .argument('<network...>')
    .option('-f, --format <template>', 'a Go template for each')
    .option('-v, --verbose', 'more, for swarm networks')
    .action(async (names: string[], options: HostOption & { format?: string; verbose?: boolean }) => {
      const client = await openClient(options, context)
      await printInspected(names, (name) => client.networks.inspect(name, { verbose: options.verbose ?? false }), options, context)
    })
  registerConnect(group, context)
  dockerCommand(group, 'disconnect', 'take a container off a network')
    .argument('<network>')
    .argument('<container>')
    .option('-f, --force', 'also an endpoint whose container is gone')
    .action(async (network: string, container: string, options: HostOption & { force?: boolean }) => {
      await (await openClient(options, context)).networks.disconnect(network, container, options.force)
    })
  dockerCommand(group, 'rm', 'remove networks')
    .alias('remove')
    .argument('<network...>')
    .option('-f, --force', 'no error for one that does not exist')
    .action(async (names: string[], options: HostOption & { force?: boolean }) => {
      const client = await openClient(options, context)
      await forEach(names, (name) => client.networks.remove(name).catch((error) => ignoreMissing(error, options.force)), context)
    })
  registerPrune(group, context)
}

interface CreateOptions extends HostOption {
  readonly driver: string
  readonly subnet?: string[]
  readonly gateway?: string[]
  readonly ipRange?: string[]
  readonly auxAddress?: string[]
  readonly opt?: string[]
  readonly label?: string[]
  readonly ipamDriver: string
  readonly ipamOpt?: string[]
  readonly internal?: boolean
  readonly attachable?: boolean
  readonly ingress?: boolean
  /** undefined: not said; the same of `ipv6`. */
  readonly ipv4?: boolean
  readonly ipv6?: boolean
  readonly configFrom?: string
  readonly configOnly?: boolean
  readonly scope?: string
}

function registerCreate(group: Command, context: CliContext): void {
  dockerCommand(group, 'create', 'make a network')
    .argument('<network>')
    .option('-d, --driver <driver>', 'bridge, macvlan, ipvlan, overlay', 'bridge')
    .option('--subnet <cidr>', 'a subnet; the next free one by default', collect)
    .option('--gateway <address>', "a subnet's gateway; its first address by default", collect)
    .option('--ip-range <cidr>', 'containers get addresses of this part of a subnet', collect)
    .option('--aux-address <name=address>', 'an address that no container gets', collect)
    .option('-o, --opt <key=value>', 'a setting of the driver', collect)
    .option('--label <key=value>', 'a label', collect)
    .option('--ipam-driver <driver>', 'who manages addresses', 'default')
    .option('--ipam-opt <key=value>', 'a setting of who manages addresses', collect)
    .option('--internal', 'no way out')
    .option('--attachable', 'containers may join it')
    .option('--ipv4', 'with IPv4, as every network here is')
    .addOption(new Option('--no-ipv4').hideHelp())
    .option('--ipv6', 'with IPv6')
    .addOption(new Option('--no-ipv6').hideHelp())
    .option('--ingress', "a swarm's routing mesh; without effect here")
    .option('--config-from <network>', 'with the settings of that network')
    .option('--config-only', 'only settings, for others')
    .option('--scope <scope>', 'local, global or swarm')
    .action(async (name: string, options: CreateOptions) => {
      const client = await openClient(options, context)
      const { Id } = await client.networks.create(createRequest(name, options))
      context.stdout.write(`${Id}\n`)
    })
}

function createRequest(name: string, options: CreateOptions): NetworkCreateRequest {
  const { driver, ipamDriver, configFrom, scope } = options
  return {
    Name: name,
    CheckDuplicate: true,
    Driver: driver,
    IPAM: { Driver: ipamDriver, Options: readPairs(options.ipamOpt), Config: ipamPools(options) },
    Internal: options.internal ?? false,
    Attachable: options.attachable ?? false,
    ...(options.ipv4 === undefined ? {} : { EnableIPv4: options.ipv4 }),
    ...(options.ipv6 === undefined ? {} : { EnableIPv6: options.ipv6 }),
    ...(options.ingress === undefined ? {} : { Ingress: options.ingress }),
    Options: readPairs(options.opt),
    Labels: readPairs(options.label),
    ConfigOnly: options.configOnly ?? false,
    ...(configFrom === undefined ? {} : { ConfigFrom: { Network: configFrom } }),
    ...(scope === undefined ? {} : { Scope: scope })
  }
}

/** Gateways, ranges and auxiliary addresses go to the subnet that they are in; the daemon judges what is none at all. */
function ipamPools({
  subnet = [],
  gateway = [],
  ipRange = [],
  auxAddress = []
}: CreateOptions): NonNullable<NetworkCreateRequest['IPAM']>['Config'] {
  if (subnet.length < ipRange.length || subnet.length < gateway.length) {
    throw refused('every ip-range or gateway must have a corresponding subnet')
  }
  for (const range of ipRange) if (!range.includes('/')) throw refused(`invalid CIDR address: ${range}`)
  if (subnet.some((one, at) => subnet.slice(at + 1).some((other) => contains(one, other) || contains(other, one)))) {
    throw refused('multiple overlapping subnet configuration is not supported')
  }
  const pools = subnet.map(
    (Subnet) => ({ Subnet }) as { Subnet: string; IPRange?: string; Gateway?: string; AuxiliaryAddresses?: Record<string, string> }
  )
  const poolOf = (what: string): (typeof pools)[number] | undefined => pools.find(({ Subnet }) => contains(Subnet, what))
  for (const range of ipRange) {
    const pool = poolOf(range)
    if (pool === undefined) throw refused(`no matching subnet for range ${range}`)
    if (pool.IPRange !== undefined)
      throw refused(`cannot configure multiple ranges (${range}, ${pool.IPRange}) on the same subnet (${pool.Subnet})`)
    pool.IPRange = range
  }
  for (const address of gateway) {
    const pool = poolOf(address)
    if (pool === undefined) throw refused(`no matching subnet for gateway ${address}`)
    if (pool.Gateway !== undefined)
      throw refused(`cannot configure multiple gateways (${address}, ${pool.Gateway}) for the same subnet (${pool.Subnet})`)
    pool.Gateway = address
  }
  for (const [name, address] of Object.entries(readPairs(auxAddress))) {
    const pool = poolOf(address)
    if (pool === undefined) throw refused(`no matching subnet for aux-address ${address}`)
    pool.AuxiliaryAddresses = { ...pool.AuxiliaryAddresses, [name]: address }
  }
  return pools
}

/** Whether an address or prefix lies in a subnet; false for texts that are none. */
function contains(subnet: string, what: string): boolean {
  const [outer, outerLength] = bitsOf(subnet)
  const [inner] = bitsOf(what)
  return outer !== null && inner !== null && outer.length === inner.length && inner.startsWith(outer.slice(0, outerLength))
}

/** The bits of an address as a text of 0 and 1, and its prefix length. */
function bitsOf(text: string): [string | null, number] {
  const [address = '', length] = text.split('/')
  const bits = address.includes(':') ? bitsOfIpv6(address) : bitsOfIpv4(address)
  return [bits, length === undefined ? (bits?.length ?? 0) : Number(length)]
}

function bitsOfIpv4(address: string): string | null {
  const parts = address.split('.')
  if (parts.length !== 4 || parts.some((part) => !/^\d{1,3}$/.test(part) || Number(part) > 255)) return null
  return parts.map((part) => Number(part).toString(2).padStart(8, '0')).join('')
}

function bitsOfIpv6(address: string): string | null {
  const [head = '', tail] = address.split('::')
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const [first, last] = [groups(head), groups(tail ?? '')]
  const missing = 8 - first.length - last.length
  const all = tail === undefined ? first : [...first, ...Array.from({ length: Math.max(0, missing) }, () => '0'), ...last]
  if (all.length !== 8 || all.some((group) => !/^[0-9a-fA-F]{1,4}$/.test(group))) return null
  return all.map((group) => Number.parseInt(group, 16).toString(2).padStart(16, '0')).join('')
}

const TABLE = '{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}'
const HEADERS = {
  ID: 'NETWORK ID',
  Name: 'NAME',
  Driver: 'DRIVER',
  Scope: 'SCOPE',
  IPv4: 'IPV4',
  IPv6: 'IPV6',
  Internal: 'INTERNAL',
  Labels: 'LABELS',
  CreatedAt: 'CREATED AT'
}

function registerList(group: Command, context: CliContext): void {
  dockerCommand(group, 'ls', 'the networks there are')
    .alias('list')
    .option('-f, --filter <filter>', 'only those with driver, id, label, name, scope, type or dangling=VALUE', collect)
    .option('--format <template>', 'a Go template, table TEMPLATE, or json')
    .option('--no-trunc', 'whole ids')
    .option('-q, --quiet', 'ids only')
    .action(async (options: HostOption & { filter?: string[]; format?: string; trunc: boolean; quiet?: boolean }) => {
      const client = await openClient(options, context)
      const networks = await client.networks.list(readFilters(options.filter))
      networks.sort((a, b) => compareNaturally(a.Name, b.Name))
      const rows = networks.map((network) => networkRow(network, options.trunc))
      const quiet = options.quiet === true ? '{{.ID}}' : undefined
      printList(rows, { format: options.format, table: TABLE, headers: HEADERS, quiet }, context.stdout)
    })
}

function networkRow(network: NetworkResource, isShort: boolean): object {
  const { Id, Name, Driver, Scope, EnableIPv6, Internal, Created } = network
  const labels = network.Labels ?? {}
  return {
    ID: isShort ? shortId(Id) : Id,
    Name,
    Driver,
    Scope,
    // Known from newer daemons only.
    IPv4: String((network as { EnableIPv4?: boolean }).EnableIPv4 ?? false),
    IPv6: String(EnableIPv6),
    Internal: String(Internal),
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    CreatedAt: goTimeOf(Created),
    Label: (key: unknown) => labels[String(key)] ?? ''
  }
}

interface ConnectOptions extends HostOption {
  readonly alias?: string[]
  readonly ip?: string
  readonly ip6?: string
  readonly link?: string[]
  readonly linkLocalIp?: string[]
  readonly driverOpt?: string[]
  readonly gwPriority?: string
}

function registerConnect(group: Command, context: CliContext): void {
  dockerCommand(group, 'connect', 'put a container on a network')
    .argument('<network>')
    .argument('<container>')
    .option('--alias <name>', 'one more name on this network', collect)
    .option('--ip <address>', 'an IPv4 address of the subnet')
    .option('--ip6 <address>', 'an IPv6 address of the subnet')
    .option('--link <container[:alias]>', 'a name for another container, for this one alone', collect)
    .option('--link-local-ip <address>', 'a link-local address', collect)
    .option('--driver-opt <key=value>', 'a setting of the driver', collect)
    .option('--gw-priority <n>', 'of later versions of the API: the highest has the default gateway')
    .action(async (network: string, container: string, options: ConnectOptions) => {
      const { ip, ip6, alias, link, linkLocalIp, driverOpt, gwPriority } = options
      const priority = gwPriority === undefined ? {} : { GwPriority: intFlag(gwPriority, '--gw-priority') }
      if (driverOpt?.some((setting) => !setting.includes('='))) throw refused('invalid key/value pair format in driver options')
      const client = await openClient(options, context)
      await client.networks.connect(network, container, {
        IPAMConfig: {
          ...(ip === undefined ? {} : { IPv4Address: ip }),
          ...(ip6 === undefined ? {} : { IPv6Address: ip6 }),
          ...(linkLocalIp === undefined ? {} : { LinkLocalIPs: linkLocalIp })
        },
        Links: link ?? null,
        Aliases: alias ?? [],
        DriverOpts: readPairs(driverOpt),
        ...priority
      })
    })
}

function registerPrune(group: Command, context: CliContext): void {
  dockerCommand(group, 'prune', 'remove all networks that no container is on')
    .option('-f, --force', 'do not ask')
    .option('--filter <filter>', 'only those of label=KEY[=VALUE] or until=TIME', collect)
    .action(async (options: HostOption & { force?: boolean; filter?: string[] }) => {
      const client = await openClient(options, context)
      if (
        options.force !== true &&
        !(await confirm('WARNING! This will remove all custom networks not used by at least one container.', context))
      )
        return
      await prune(client, readFilters(options.filter), context)
    })
}

async function prune(client: Client, filters: Record<string, string[]>, context: CliContext): Promise<void> {
  const { NetworksDeleted: names } = await client.networks.prune(filters)
  if (names === null || names.length === 0) return
  context.stdout.write(`Deleted Networks:\n${names.join('\n')}\n\n`)
}

function ignoreMissing(error: { status?: number }, force: boolean | undefined): void {
  if (force !== true || error.status !== 404) throw error
}

function refused(message: string): CliError {
  return new CliError(message, { code: 'ERR_USAGE', isPlain: true })
}

/**
 * `driver_opts` of a network: what its driver would refuse is told with its place, in the driver's own words. Options that no driver
 * knows pass, as with Docker, unless they are one of its own misspelt.
 */
import { BridgeOption, checkBridgeOptions } from '../docker/network/bridge-options.ts'
import { ParentOption } from '../docker/network/docker-network.ts'
import { checkOverlayOptions, OverlayOption } from '../docker/network/overlay-options.ts'
import { driverOptions } from '../docker/network/parent-networks.ts'
import { ipvlanOptions, macvlanOptions } from '../network/drivers/parent-options.ts'
import { isNear } from './is-near.ts'
import type { Value } from './value.ts'

type Options = Readonly<Record<string, string>>
type DriverName = 'bridge' | 'overlay' | 'macvlan' | 'ipvlan'

interface Rules {
  readonly known: readonly string[]
  /** Throws what the driver would. */
  readonly check: (options: Options, subnets: number) => unknown
}

const RULES: Readonly<Record<DriverName, Rules>> = {
  bridge: { known: Object.values(BridgeOption), check: checkBridgeOptions },
  overlay: { known: Object.values(OverlayOption), check: (options, subnets) => checkOverlayOptions(options, Math.max(1, subnets)) },
  macvlan: {
    known: [ParentOption.parent, ParentOption.macvlanMode, BridgeOption.mtu],
    check: (options) => macvlanOptions({ driverOptions: driverOptions({ driver: 'macvlan', options }) })
  },
  ipvlan: {
    known: [ParentOption.parent, ParentOption.ipvlanMode, ParentOption.ipvlanFlag, BridgeOption.mtu],
    check: (options) => ipvlanOptions({ driverOptions: driverOptions({ driver: 'ipvlan', options }) })
  }
}

/** Throws LabFileError. `subnets`: how many IPv4 ones the file gives the network. */
export function checkDriverOptions(value: Value, driver: DriverName, options: Options, subnets: number): void {
  const { known, check } = RULES[driver]
  const places = value.isMap ? value.entries() : new Map<string, Value>()
  for (const name of Object.keys(options)) {
    const meant = known.includes(name) ? undefined : known.find((other) => isNear(name, other) && !areTwins(name, other))
    if (meant !== undefined) (places.get(name) ?? value).fail(`the driver ${driver} has no option '${name}'; is '${meant}' meant?`)
  }
  const problem = problemOf(() => check(options, subnets))
  if (problem === undefined) return
  // Where one option is wrong by itself, there; else they do not go together.
  const own = [...places].find(([name]) => problemOf(() => check({ [name]: options[name]! }, subnets)) === problem)
  return (own?.[1] ?? value).fail(problem)
}

/** Docker's options of the other family are not misspelt: host_ipv6 beside host_ipv4. */
function areTwins(one: string, other: string): boolean {
  return one.replaceAll(/\d/g, '') === other.replaceAll(/\d/g, '')
}

/** What `check` throws, in words. */
function problemOf(check: () => unknown): string | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

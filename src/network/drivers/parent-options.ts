/**
 * What macvlan and ipvlan networks are made with: `NetworkSpec.driverOptions`, checked.
 */
import { IPVLAN_FLAGS, IPVLAN_MODES, type IpvlanFlag, type IpvlanMode } from '../../elements/ipvlan/ipvlan-options.ts'
import { MACVLAN_MODES, type MacvlanMode } from '../../elements/macvlan/macvlan-options.ts'
import type { Network } from '../network.ts'
import { NetworkError } from '../network-error.ts'

export interface MacvlanNetworkOptions {
  /** `eth0`, `eth0.30`; absent: the network has no way to anybody outside. */
  readonly parent?: string
  /** Default `bridge`. */
  readonly mode?: MacvlanMode
}

export interface IpvlanNetworkOptions {
  readonly parent?: string
  /** Default `l2`. */
  readonly mode?: IpvlanMode
  /** Default `bridge`. */
  readonly flag?: IpvlanFlag
}

/** Throws NetworkError `invalid`, in Docker's words. */
export function macvlanOptions({
  driverOptions
}: Pick<Network, 'driverOptions'>): Required<Pick<MacvlanNetworkOptions, 'mode'>> & MacvlanNetworkOptions {
  const { parent, mode = 'bridge' } = (driverOptions ?? {}) as MacvlanNetworkOptions
  if (!MACVLAN_MODES.includes(mode)) {
    throw new NetworkError('invalid', `requested macvlan mode '${mode}' is not valid, 'bridge' mode is the macvlan driver default`)
  }
  return { mode, ...checkedParent(parent, 'macvlan') }
}

/** Throws NetworkError `invalid`, in Docker's words. */
export function ipvlanOptions({
  driverOptions
}: Pick<Network, 'driverOptions'>): Required<Pick<IpvlanNetworkOptions, 'mode' | 'flag'>> & IpvlanNetworkOptions {
  const { parent, mode = 'l2', flag = 'bridge' } = (driverOptions ?? {}) as IpvlanNetworkOptions
  if (!IPVLAN_MODES.includes(mode)) {
    throw new NetworkError('invalid', `requested ipvlan mode '${mode}' is not valid, 'l2' mode is the ipvlan driver default`)
  }
  if (!IPVLAN_FLAGS.includes(flag)) {
    throw new NetworkError('invalid', `requested ipvlan flag '${flag}' is not valid, 'bridge' is the ipvlan driver default`)
  }
  return { mode, flag, ...checkedParent(parent, 'ipvlan') }
}

function checkedParent(parent: string | undefined, driver: string): { parent?: string } {
  if (parent === 'lo') throw new NetworkError('invalid', `loopback interface is not a valid ${driver} parent link`)
  return parent === undefined || parent === '' ? {} : { parent }
}

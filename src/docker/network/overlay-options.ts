/**
 * Driver options of overlay networks, checked as libnetwork's overlay driver does.
 */
import { ApiError } from '../../api/api-error.ts'
import type { OverlayOptions } from '../../network/drivers/overlay-driver.ts'
import { addressFamily } from '../../wire/address.ts'
import { integerProblem } from './bridge-options.ts'

export const OverlayOption = {
  mtu: 'com.docker.network.driver.mtu',
  /** VNIs of the subnets in their order, instead of the next free ones. */
  vnis: 'com.docker.network.driver.overlay.vxlanid_list',
  encrypted: 'encrypted',
  /** Ours: `flood` sends broadcast, multicast and unknown unicast to all hosts of the network, which Docker never does. */
  bum: 'com.docker.network.driver.overlay.bum',
  /** Ours: VTEPs that are no host of the cluster (a router, a Linux vxlan device) are believed, and what stands behind them is learned. */
  learning: 'netloom.overlay.learning',
  /** Ours: their addresses, separated by commas: they get what is for everybody. Floods by default. */
  remotes: 'netloom.overlay.remotes'
} as const

type Options = Readonly<Record<string, string>>

/** Ethernet, IPv4, UDP and VXLAN headers around a frame, less the frame's own Ethernet header. */
const ENCAPSULATION = 50

const UNDERLAY_MTU = 1500

const VNI_MAX = 0xffffff

/** Throws ApiError with the driver's text; options that the driver does not know pass. */
export function checkOverlayOptions(options: Options, subnets: number): void {
  const { [OverlayOption.mtu]: mtu, [OverlayOption.bum]: bum } = options
  const vnis = overlayVnis(options)
  if (vnis.length > 0 && vnis.length < subnets) throw ApiError.internal(`insufficient vnis(${vnis.length}) passed to overlay`)
  if (mtu !== undefined) {
    const problem = integerProblem(mtu)
    if (problem !== '') throw ApiError.internal(`failed to parse ${mtu}: ${problem}`)
    if (Number(mtu) < 0) throw ApiError.internal(`invalid MTU value: ${Number(mtu)}`)
  }
  if (bum !== undefined && bum !== 'flood' && bum !== 'drop') {
    throw ApiError.badRequest(`invalid ${OverlayOption.bum} value: ${JSON.stringify(bum)} is neither flood nor drop`)
  }
  checkForeign(options)
  if (OverlayOption.encrypted in options) {
    throw ApiError.notImplemented('encrypted overlay networks are not part of netloom yet: leave the option encrypted out, or use a tunnel')
  }
}

function checkForeign({ [OverlayOption.learning]: learning, [OverlayOption.remotes]: remotes }: Options): void {
  if (learning !== undefined && learning !== 'true' && learning !== 'false') {
    throw ApiError.badRequest(`invalid ${OverlayOption.learning} value: ${JSON.stringify(learning)} is neither true nor false`)
  }
  if (remotes === undefined) return
  if (learning !== 'true')
    throw ApiError.badRequest(`${OverlayOption.remotes} needs ${OverlayOption.learning}=true: nobody else says what is behind them`)
  for (const address of remotes.split(',')) {
    if (addressFamily(address) === 0) {
      throw ApiError.badRequest(`invalid ${OverlayOption.remotes} value: ${JSON.stringify(address)} is no address`)
    }
  }
}

/** What the driver is told. */
export function overlaySettings(options: Options): OverlayOptions {
  const { [OverlayOption.bum]: bum, [OverlayOption.learning]: learning, [OverlayOption.remotes]: list } = options
  const remotes = list?.split(',') ?? []
  // ARP has to reach them: nobody else answers for what is there.
  const floods = bum === undefined ? remotes.length > 0 : bum === 'flood'
  return { bum: floods ? 'flood' : 'drop', learning: learning === 'true', remotes }
}

/** Empty: the next free ones are taken. Throws ApiError. */
export function overlayVnis({ [OverlayOption.vnis]: list }: Options): number[] {
  if (list === undefined || list === '') return []
  return list.split(',').map((text) => {
    const vni = Number(text)
    if (/^\d+$/.test(text) && vni <= VNI_MAX) return vni
    throw ApiError.internal(`invalid vxlan id value ${JSON.stringify(text)} passed`)
  })
}

/** Bytes of the longest packet inside. */
export function overlayMtu({ [OverlayOption.mtu]: mtu }: Options): number {
  return (Number(mtu) || UNDERLAY_MTU) - ENCAPSULATION
}

/**
 * Run by the doctor in a network namespace of its own: opens a TAP there as the engine would, and prints what was granted as
 * JSON. A process apart, since an ordinary user gets such a namespace only together with a user namespace, which a process
 * with threads may not enter. The TAP ends with the process.
 */
import { loadNative } from '../../io/load-native.ts'
import { TUN_OFFLOADS } from './tun-offloads.ts'

/** What the probe prints. */
export interface TapProbeResult {
  /** TUN_F_ bits granted. */
  readonly offloads?: number
  readonly vnetHeaderLength?: number
  readonly error?: { readonly code: string; readonly message: string }
}

function probe(): TapProbeResult {
  try {
    const native = loadNative()
    const wanted = TUN_OFFLOADS.reduce((bits, offload) => bits | offload.bit, 0)
    const common = { netns: -1, name: 'nldoctor%d', tun: false, persist: false, ownerUid: -1 }
    // 24 bytes carry the tunnel fields too; the kernel fills what it knows of.
    const tap = native.openTap({ ...common, vnetHeaderLength: 24, offloads: wanted })
    native.closeFd(tap.fd)
    return { offloads: tap.offloads, vnetHeaderLength: tap.vnetHeaderLength }
  } catch (error) {
    return { error: { code: (error as NodeJS.ErrnoException).code ?? 'ERR_INTERNAL', message: (error as Error).message } }
  }
}

console.log(JSON.stringify(probe()))

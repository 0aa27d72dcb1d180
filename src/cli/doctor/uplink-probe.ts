/**
 * Run by the doctor: lists, as JSON, whose filters drop what this machine would forward. It only reads. A process apart because the
 * kernel is asked asynchronously, and the doctor's checks are not.
 */
import { loadNative } from '../../io/load-native.ts'
import { Nftables } from '../../io/netlink/nftables/nftables.ts'
import { explainForwardDrop, foreignForwardDrops } from '../../network/uplinks/host/foreign-filters.ts'

/** What the probe prints. */
export interface UplinkProbeResult {
  readonly forwardDrops?: readonly { readonly text: string; readonly fix: string }[]
  readonly error?: { readonly code: string; readonly message: string }
}

async function probe(): Promise<UplinkProbeResult> {
  try {
    const nftables = Nftables.inNamespace(loadNative(), -1)
    return { forwardDrops: (await foreignForwardDrops({ nftables })).map(explainForwardDrop) }
  } catch (error) {
    return { error: { code: (error as NodeJS.ErrnoException).code ?? 'ERR_INTERNAL', message: (error as Error).message } }
  }
}

console.log(JSON.stringify(await probe()))

/** The one place where the errors of the layers below become HTTP statuses. */
import { CaptureFormatError } from '../capture/capture-error.ts'
import { CaptureFilterError } from '../capture/filter/capture-filter-error.ts'
import { ImageError, type ImageErrorCode } from '../image/image-error.ts'
import { IpamError, type IpamErrorCode } from '../ipam/ipam-error.ts'
import { NetworkError, type NetworkErrorCode } from '../network/network-error.ts'
import { ApiError } from './api-error.ts'

const NETWORK_STATUS: Readonly<Record<NetworkErrorCode, number>> = {
  invalid: 400,
  'not-found': 404,
  conflict: 409,
  exhausted: 500,
  unsupported: 501,
  unclean: 500,
  stuck: 500,
  closed: 503
}

/** 403 where Docker's IPAM refuses an address or pool, which it counts as forbidden. */
const IPAM_STATUS: Readonly<Record<IpamErrorCode, number>> = {
  IPAM_INVALID: 400,
  IPAM_OUTSIDE: 400,
  IPAM_IN_USE: 403,
  IPAM_EXHAUSTED: 500,
  IPAM_OVERLAP: 403,
  IPAM_NO_POOL: 500,
  IPAM_NAME: 403
}

const IMAGE_STATUS: Readonly<Record<ImageErrorCode, number>> = {
  invalid: 400,
  'not-found': 404,
  conflict: 409,
  unsupported: 501,
  failed: 500
}

/** 500 for what nobody foresaw. Errors of folders that cannot know ApiError may carry a `status` themselves. */
export function statusOf(error: unknown): number {
  if (error instanceof ApiError) return error.status
  if (error instanceof NetworkError) return NETWORK_STATUS[error.code]
  if (error instanceof IpamError) return IPAM_STATUS[error.code]
  if (error instanceof ImageError) return IMAGE_STATUS[error.code]
  if (error instanceof CaptureFormatError || error instanceof CaptureFilterError) return 400
  const status = (error as { status?: unknown } | null)?.status
  return typeof status === 'number' && status >= 400 && status <= 599 ? status : 500
}

/** What the client is told. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/**
 * netloom as a library: `import { Lab } from 'netloom'`.
 */
export { readCapture } from './capture/read-capture.ts'
export { NativeUnavailableError } from './io/load-native.ts'
export { IpamError } from './ipam/ipam-error.ts'
export { type EndpointReport, Lab, type LabOptions } from './lab/lab.ts'
export type { AttachOptions, LabAttachment } from './lab/lab-attachment.ts'
export type { LabCapture, LabCaptureOptions, LabCaptureResult } from './lab/lab-capture.ts'
export type { BulkOptions, LabHost, PingOptions } from './lab/lab-host.ts'
export type { EndpointOptions, HostOptions, LabNetwork } from './lab/lab-network.ts'
export type { LabSandbox, SandboxOptions } from './lab/lab-sandbox.ts'
export type { Datagram, LabSocket } from './lab/lab-socket.ts'
export type { NetworkSpec } from './network/network.ts'
export { NetworkError, type NetworkErrorCode } from './network/network-error.ts'
export { SandboxError } from './sandbox/sandbox-error.ts'
export type { FloodResult } from './stack/bulk-transfer.ts'
export type { PingResult } from './stack/pinger.ts'
export { AddressError } from './wire/address.ts'

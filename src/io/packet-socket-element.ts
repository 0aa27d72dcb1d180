import type { ElementType } from '../engine/element.ts'
import { DEVICE_COUNTERS, DeviceElement } from './device-element.ts'
import { loadNative } from './load-native.ts'
import { openPacketSocket, PacketSocketDevice, type PacketSocketDeviceOptions, type PacketSocketOptions } from './packet-socket-device.ts'

/** A socket that the element is to open itself, when it is made: so two networks may name one and the same. */
export interface PacketSocketToOpen extends PacketSocketOptions {
  readonly name: string
  readonly mtu: number
}

/**
 * Element type 'packet-socket': options as from `openPacketSocket` (src/io/packet-socket-device.ts), where the control plane opens the
 * socket and the element owns it from its creation on, or what to open. The element closes it.
 */
export const packetSocketElement: ElementType<PacketSocketDeviceOptions | PacketSocketToOpen> = {
  type: 'packet-socket',
  maxPorts: 1,
  counters: DEVICE_COUNTERS,
  create: (context, options) => new DeviceElement(context, new PacketSocketDevice(context.frames, loadNative(), opened(options)), options)
}

function opened(options: PacketSocketDeviceOptions | PacketSocketToOpen): PacketSocketDeviceOptions {
  if ('fd' in options) return options
  const { fd, vnetHeaderLength } = openPacketSocket(loadNative(), options)
  return { fd, vnetHeaderLength, name: options.name, mtu: options.mtu }
}

import type { ElementType } from '../engine/element.ts'
import { DEVICE_COUNTERS, DeviceElement } from './device-element.ts'
import { loadNative } from './load-native.ts'
import { PacketSocketDevice, type PacketSocketDeviceOptions } from './packet-socket-device.ts'

/**
 * Element type 'packet-socket': options as from `openPacketSocket` (src/io/packet-socket-device.ts). The control plane opens
 * the socket; the element owns it from its creation on and closes it.
 */
export const packetSocketElement: ElementType<PacketSocketDeviceOptions> = {
  type: 'packet-socket',
  maxPorts: 1,
  counters: DEVICE_COUNTERS,
  create: (context, options) => new DeviceElement(context, new PacketSocketDevice(context.frames, loadNative(), options), options)
}

import type { ElementType } from '../engine/element.ts'
import { DEVICE_COUNTERS, DeviceElement } from './device-element.ts'
import { loadNative } from './load-native.ts'
import { UdpUnderlayDevice, type UdpUnderlayDeviceOptions } from './udp-underlay-device.ts'

/**
 * Element type 'udp-underlay': port 0 is linked to a VTEP's port 0. The sockets are opened by the control plane (`openUdpUnderlay`); the
 * element owns them from its creation on and closes them.
 */
export const udpUnderlayElement: ElementType<UdpUnderlayDeviceOptions> = {
  type: 'udp-underlay',
  maxPorts: 1,
  counters: DEVICE_COUNTERS,
  create: (context, options) => new DeviceElement(context, new UdpUnderlayDevice(context.frames, loadNative(), options), options)
}

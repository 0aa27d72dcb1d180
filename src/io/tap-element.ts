import type { ElementType } from '../engine/element.ts'
import { DEVICE_COUNTERS, DeviceElement } from './device-element.ts'
import { loadNative } from './load-native.ts'
import { TapDevice, type TapDeviceOptions } from './tap-device.ts'

/**
 * Element type 'tap': options as from `openTap` (src/io/tap-device.ts) plus the interface's mtu. The TAP is opened by the
 * control plane, since descriptors are one table for all threads; the element owns it from its creation on and closes it.
 */
export const tapElement: ElementType<TapDeviceOptions> = {
  type: 'tap',
  maxPorts: 1,
  counters: DEVICE_COUNTERS,
  create: (context, options) => new DeviceElement(context, new TapDevice(context.frames, loadNative(), options), options)
}

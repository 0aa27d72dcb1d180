/**
 * Every kind of element that a netloom engine can make.
 */
import { captureElement } from '../capture/capture-element.ts'
import { learningBridge } from '../elements/bridge/learning-bridge.ts'
import { ElementRegistry } from '../engine/index.ts'
import { tapElement } from '../io/tap-element.ts'

export function elementRegistry(): ElementRegistry {
  return new ElementRegistry().register(learningBridge).register(tapElement).register(captureElement)
}

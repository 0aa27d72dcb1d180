import { learningBridge } from '../../src/elements/bridge/learning-bridge.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { bridgeDomainSuite } from './bridge-domain-suite.ts'

bridgeDomainSuite('one bridge', {
  types: [learningBridge as ElementType<never>],
  build: (ports, options) => ({
    elements: { bridge: { type: 'bridge', options } },
    links: [],
    edges: Array.from({ length: ports }, (_, port) => ['bridge', port] as const)
  })
})

// Two bridges with a cable between them are one domain too: each learns what is behind the other.
bridgeDomainSuite('two bridges in line', {
  types: [learningBridge as ElementType<never>],
  build: (ports, options) => ({
    elements: { left: { type: 'bridge', options }, right: { type: 'bridge', options } },
    links: [{ a: ['left', 100], b: ['right', 100] }],
    edges: Array.from({ length: ports }, (_, port) => [port % 2 === 0 ? 'left' : 'right', port] as const)
  }),
  oneFdb: false
})

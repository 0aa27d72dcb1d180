/**
 * Helpers for tests: `import { withLab, ipv4, udp } from 'netloom/testing'`.
 */
export { PatternError } from './elements/probe/frame-pattern.ts'
export { ExpectationError, type ExpectOptions, type FrameExpectation } from './lab/testing/expectation.ts'
export type { DuplicateOptions, Fault, FaultOptions, Faults, Partition } from './lab/testing/faults.ts'
export { arp, dns, ethernet, type FrameMatcher, icmp, icmpv6, ipv4, ipv6, tcp, udp } from './lab/testing/frame-matchers.ts'
export type { LabLink } from './lab/testing/lab-link.ts'
export type { Place } from './lab/testing/lab-probe.ts'
export type { LabTime } from './lab/testing/lab-time.ts'
export { runScenario, type Scenario, type ScenarioOptions } from './lab/testing/run-scenario.ts'
export type { SeenFrame } from './lab/testing/seen-frame.ts'
export { type WithLabOptions, withLab } from './lab/testing/with-lab.ts'

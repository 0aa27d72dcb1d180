import type { Operation } from './operation.ts'

/** Each kind of operation at least once, on what those before it made: every write that a daemon does is in it. */
export const EVERY_OPERATION: readonly Operation[] = [
  { kind: 'network-create', network: 'net0', subnet: '192.0.2.0/29' },
  { kind: 'network-create', network: 'net1', subnet: '198.51.100.64/26' },
  { kind: 'import', tag: 'i0-first' },
  { kind: 'tag', from: 'i0-first', tag: 'i0-second' },
  { kind: 'create', container: 'one', network: 'net0', restarts: false },
  { kind: 'create', container: 'two', network: 'net0', restarts: true },
  { kind: 'start', container: 'one' },
  { kind: 'start', container: 'two' },
  { kind: 'connect', network: 'net1', container: 'one' },
  { kind: 'rename', container: 'one', name: 'uno' },
  { kind: 'exec', container: 'uno' },
  { kind: 'restart', container: 'uno' },
  { kind: 'disconnect', network: 'net0', container: 'uno' },
  { kind: 'kill', container: 'uno' },
  { kind: 'disconnect', network: 'net1', container: 'uno' },
  { kind: 'connect', network: 'net0', container: 'uno' },
  { kind: 'stop', container: 'two' },
  { kind: 'start', container: 'two' },
  { kind: 'remove', container: 'two' },
  { kind: 'remove', container: 'uno' },
  { kind: 'network-remove', network: 'net0' },
  { kind: 'untag', tag: 'i0-first' },
  { kind: 'untag', tag: 'i0-second' }
]

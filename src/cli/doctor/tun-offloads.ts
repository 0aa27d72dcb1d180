/** Offloads of a TAP: TUN_F_ bits of linux/if_tun.h, and what each saves. */
export interface TunOffload {
  readonly bit: number
  readonly name: string
  /** The first Linux that has it; undefined: any that still lives. */
  readonly since?: string
}

export const TUN_OFFLOADS: readonly TunOffload[] = [
  { bit: 0x01, name: 'checksum' },
  { bit: 0x02, name: 'TSO4' },
  { bit: 0x04, name: 'TSO6' },
  { bit: 0x20, name: 'USO4', since: '6.2' },
  { bit: 0x40, name: 'USO6', since: '6.2' },
  { bit: 0x80, name: 'UDP tunnel', since: '6.17' },
  { bit: 0x100, name: 'UDP tunnel checksum', since: '6.17' }
]

/** Names of the offloads in `bits`, and of those that are not. */
export function nameOffloads(bits: number): { granted: string[]; refused: string[] } {
  const granted = TUN_OFFLOADS.filter(({ bit }) => (bits & bit) !== 0).map(({ name }) => name)
  const refused = TUN_OFFLOADS.filter(({ bit }) => (bits & bit) === 0).map(({ name, since }) => (since ? `${name} (Linux ${since})` : name))
  return { granted, refused }
}

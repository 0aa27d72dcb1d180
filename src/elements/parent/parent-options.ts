/**
 * What options of macvlan and ipvlan have in common. `Refusal`: the error that is thrown, each element's own.
 */

/** Ports below are the wire and the parent's own stack. */
export const FIRST_CHILD = 2
export const PARENT_PORTS_MAX = 4097
const MTU_MIN = 68
const MTU_MAX = 65_535

/** Header and one tag: what `is_skb_forwardable` of the kernel grants beyond the MTU. */
const AROUND_MTU = 18
/** Above every length, and a small integer to V8. */
export const NO_LIMIT = 0x3fffffff

export type Refusal = new (message: string) => Error

/** Longest plain frame between children, bytes; `mtu` undefined: no limit. */
export function longestFrame(mtu: number | undefined, Refusal: Refusal): number {
  if (mtu === undefined) return NO_LIMIT
  if (Number.isInteger(mtu) && mtu >= MTU_MIN && mtu <= MTU_MAX) return mtu + AROUND_MTU
  throw new Refusal(`mtu is ${mtu}: it must be a whole number from ${MTU_MIN} to ${MTU_MAX}`)
}

/** The port that a key of an update's `children` names. */
export function childPort(key: string, Refusal: Refusal): number {
  const port = Number(key)
  if (Number.isInteger(port) && port >= FIRST_CHILD && port < PARENT_PORTS_MAX) return port
  throw new Refusal(`children.${key}: a child's port is a whole number from ${FIRST_CHILD} to ${PARENT_PORTS_MAX - 1}`)
}

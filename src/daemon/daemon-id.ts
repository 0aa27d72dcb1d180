import { randomBytes } from 'node:crypto'
import type { Store } from '../store/store.ts'

const ID_KEY = 'meta/daemon-id'

/** Base 32 of RFC 4648, of which Docker's daemon ids are made. */
const ID_LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** A new state directory gets an id, which stays with it: twelve groups of four letters, as Docker's. */
export async function daemonId(store: Store): Promise<string> {
  const known = store.get<string>(ID_KEY)
  if (known !== undefined) return known
  const letters = [...randomBytes(48)].map((byte) => ID_LETTERS[byte & 31]).join('')
  const id = letters.match(/.{4}/g)!.join(':')
  await store.write([{ put: ID_KEY, value: id }])
  return id
}

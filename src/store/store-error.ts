/**
 * ERR_STORE_OPEN: the file is none of ours, damaged or not accessible. ERR_STORE_KEY: a key is empty or too long.
 * ERR_STORE_SCHEMA: another version of netloom wrote it. ERR_STORE_LOST: it is empty beside what it should know of. ERR_STORE_WRITE: the disk is full or fails; the state is as before the write.
 */
export type StoreErrorCode = 'ERR_STORE_OPEN' | 'ERR_STORE_KEY' | 'ERR_STORE_SCHEMA' | 'ERR_STORE_LOST' | 'ERR_STORE_WRITE'

export class StoreError extends Error {
  readonly code: StoreErrorCode

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StoreError'
    this.code = code
  }
}

/** What went wrong; the API maps it to a status in one place. */
export type ImageErrorCode =
  | 'invalid' // a reference, an instruction or an archive is not what it must be
  | 'not-found'
  | 'conflict' // a container or a tag needs the image
  | 'unsupported' // outside what this store does
  | 'failed' // the machine: a full disk, a missing program

/** An image request that failed. The message is Docker's text where Docker has one. */
export class ImageError extends Error {
  readonly code: ImageErrorCode

  constructor(code: ImageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ImageError'
    this.code = code
  }
}

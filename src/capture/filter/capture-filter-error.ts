/** A capture filter that cannot be used: text that is not understood, or a program that is no program. */
export class CaptureFilterError extends Error {
  readonly code = 'CAPTURE_FILTER'
  /** Where in the filter's text, in characters; undefined when the fault is not at a place. */
  readonly offset: number | undefined

  constructor(message: string, offset?: number) {
    super(offset === undefined ? message : `${message} (at character ${offset + 1} of the filter)`)
    this.name = 'CaptureFilterError'
    this.offset = offset
  }
}

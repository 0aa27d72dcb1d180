/** Why a lab does not come up or go down. The command line prints message and fix. */
export type LabErrorCode =
  /** A process has a lab of the name. */
  | 'ERR_LAB_RUNNING'
  /** Its folder cannot be made. */
  | 'ERR_LAB_FOLDER'
  /** There is none of the name, or none that could be meant. */
  | 'ERR_NO_LAB'
  /** A network or service was refused by its host, or a service ended that another one waits for. */
  | 'ERR_LAB_START'
  /** It was told to end and did not. */
  | 'ERR_LAB_STOP'

export class LabError extends Error {
  readonly code: LabErrorCode
  readonly fix: string | undefined

  constructor(code: LabErrorCode, message: string, options: { fix?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'LabError'
    this.code = code
    this.fix = options.fix
  }
}

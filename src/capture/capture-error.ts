/** A capture file that is not what its format says, at byte `offset` of the file. Frames before it are good. */
export class CaptureFormatError extends Error {
  readonly code = 'CAPTURE_FORMAT'
  readonly offset: number

  constructor(message: string, offset: number) {
    super(`${message} (at byte ${offset} of the capture)`)
    this.name = 'CaptureFormatError'
    this.offset = offset
  }
}

/** A capture file that cannot be opened, read or written. `code` is the system's (EACCES, ENOSPC, ...). */
export class CaptureFileError extends Error {
  readonly code: string
  readonly path: string

  /** `message` is whole; `from` makes it out of a system error. */
  constructor(message: string, code: string, path: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'CaptureFileError'
    this.code = code
    this.path = path
  }

  /** The error for a failed `action` (open, read, write), with what to do about it. */
  static from(action: string, path: string, cause: unknown): CaptureFileError {
    const code = codeOf(cause)
    const reason =
      (action === 'read' ? READ_ADVICE[code] : undefined) ?? ADVICE[code] ?? (cause instanceof Error ? cause.message : String(cause))
    return new CaptureFileError(`cannot ${action} the capture file ${path}: ${reason}`, code, path, cause)
  }
}

const ADVICE: Record<string, string | undefined> = {
  EACCES: 'permission denied (EACCES); choose a folder that this user may write to',
  EPERM: 'not permitted (EPERM); choose a folder that this user may write to',
  ENOENT: 'its folder does not exist (ENOENT); make the folder or choose another path',
  ENOTDIR: 'a part of its path is a file, not a folder (ENOTDIR); choose another path',
  EISDIR: 'it is a folder (EISDIR); give the name of a file in it',
  EROFS: 'the file system is read-only (EROFS); choose another path',
  ENOSPC: 'no space left on the device (ENOSPC); free some, choose another path, or lower the snap length',
  EDQUOT: 'the disk quota is used up (EDQUOT); free some space, choose another path, or lower the snap length',
  EFBIG: 'the file is at its largest size (EFBIG); raise the limit (ulimit -f) or lower the snap length',
  EPIPE: 'its reader has gone (EPIPE); start the reader again, then the capture',
  ENXIO: 'nobody reads from this FIFO (ENXIO); start its reader first, such as wireshark -k -i FIFO',
  ETIMEDOUT: 'its reader takes nothing (ETIMEDOUT); start the reader again, then the capture',
  EMFILE: 'too many open files (EMFILE); raise the limit (ulimit -n)'
}

/** Where it is another one for a file that is there already. */
const READ_ADVICE: Record<string, string | undefined> = {
  EACCES: 'permission denied (EACCES); read it as a user who may',
  ENOENT: 'there is no such file (ENOENT)',
  EISDIR: 'it is a folder (EISDIR); give the name of a file in it'
}

function codeOf(cause: unknown): string {
  const code = (cause as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : 'EIO'
}

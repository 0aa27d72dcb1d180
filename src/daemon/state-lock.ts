import { readFileSync, writeSync } from 'node:fs'
import path from 'node:path'
import { loadNative } from '../io/load-native.ts'
import { DaemonError } from './daemon-error.ts'

/** The file in a state directory: the pid as text, for those who cannot ask the kernel. */
export const LOCK_FILE = 'lock'

/**
 * Says whose a state directory is. The kernel keeps the lock and gives it up with the process, so that nothing is left to clean up
 * after a kill -9 and no recycled pid can be taken for a daemon.
 */
export class StateLock {
  private readonly fd: number

  private constructor(fd: number) {
    this.fd = fd
  }

  /** Throws DaemonError with the pid of the daemon that has it. */
  static acquire(stateDirectory: string): StateLock {
    const file = path.join(stateDirectory, LOCK_FILE)
    const { fd, holder } = loadNative().lockFile(file)
    if (fd === -1) {
      // In another PID namespace the kernel has no number to give: the daemon wrote its own.
      const pid = holder > 0 ? holder : readFileSync(file, 'utf8').trim()
      throw new DaemonError('ERR_DAEMON_RUNNING', `a daemon runs on ${stateDirectory} already: pid ${pid}`, {
        fix: 'give another --state-dir, or stop that daemon'
      })
    }
    writeSync(fd, `${process.pid}\n`.padEnd(12), 0)
    return new StateLock(fd)
  }

  release(): void {
    loadNative().closeFd(this.fd)
  }
}

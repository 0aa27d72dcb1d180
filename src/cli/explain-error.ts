/**
 * Turns whatever a command threw into a CliError with a fix where one is known: errors of commander, errors of the layers below
 * (a `code`, and a `fix` where they know one), errors of system calls (`code` and `syscall`), and defects.
 */
import { CommanderError } from 'commander'
import { CaptureFileError } from '../capture/capture-error.ts'
import { CliError, ExitCode } from './cli-error.ts'

/** Fields that errors in this project may carry. */
interface CodedError extends Error {
  code?: unknown
  fix?: unknown
  syscall?: unknown
  path?: unknown
  exitCode?: unknown
}

interface Explanation {
  /** All that are given must match. */
  readonly code: string
  readonly about?: RegExp
  readonly fix: string
}

const TUN = /\/dev\/net\/tun/
const BUILD = 'install a C++ compiler and Python 3 (`apt-get install g++ make python3`), then `npm rebuild`'
const ABOUT_DEVICES = /TUNSETIFF|TUNSETOFFLOAD|netlink|RTM_|setns|may not be entered|unshare|clone|mount/i

/** The first match wins, so the particular stands before the general. `about` is matched with the message, system call and path. */
const EXPLANATIONS: readonly Explanation[] = [
  { code: 'ENOENT', about: TUN, fix: 'load the driver with `modprobe tun`; in a container, start it with `--device /dev/net/tun`' },
  { code: 'ENODEV', about: TUN, fix: 'load the driver with `modprobe tun`' },
  { code: 'EACCES', about: TUN, fix: 'run as root, or let every user open it: `sudo chmod 0666 /dev/net/tun`' },
  { code: 'EPERM', about: TUN, fix: 'this container may not use the device: start it with `--device /dev/net/tun --cap-add NET_ADMIN`' },
  { code: 'ENOSPC', about: /unshare|clone/, fix: 'raise the limit: `sudo sysctl -w user.max_user_namespaces=15000`' },
  { code: 'ENOSPC', fix: 'the disk is full: free some space or write elsewhere' },
  { code: 'EPERM', about: ABOUT_DEVICES, fix: 'run as root; `netloom doctor` tells what this machine allows an ordinary user' },
  { code: 'EACCES', about: ABOUT_DEVICES, fix: 'run as root; `netloom doctor` tells what this machine allows an ordinary user' },
  { code: 'EBUSY', about: /TUNSETIFF/, fix: 'another process holds that interface: choose another name' },
  { code: 'EINVAL', about: /TUNSETIFF/, fix: 'an interface of that name is there and is no TAP: choose another name' },
  { code: 'EMFILE', fix: 'raise the limit of open files: `ulimit -n 65536`' },
  { code: 'ENFILE', fix: 'raise the limit of open files on this machine: `sudo sysctl -w fs.file-max=1000000`' },
  { code: 'ENOMEM', fix: 'the machine has too little free memory: `netloom doctor` tells how much is needed' },
  { code: 'EADDRINUSE', fix: 'another program uses that address: choose another, or stop it' },
  { code: 'ENOENT', fix: 'check the path' },
  { code: 'ENOTDIR', fix: 'check the path' },
  { code: 'EISDIR', fix: 'give the path of a file, not of a folder' },
  { code: 'EEXIST', fix: 'choose another path, or remove what is there' },
  { code: 'EROFS', fix: 'the file system is read-only: write elsewhere' },
  { code: 'EACCES', fix: 'check the permissions of the file' },
  { code: 'EPERM', fix: 'run as root; `netloom doctor` tells what this machine allows an ordinary user' },
  { code: 'ERR_NATIVE_UNAVAILABLE', fix: BUILD },
  { code: 'ERR_SHIM_MISSING', fix: BUILD },
  { code: 'ERR_NO_DAEMON', fix: 'start one with `netloom daemon`, or say where it is: --host unix:///path or NETLOOM_HOST' }
]

/** `command` is the one that was called, if any: its help is the one to read. */
export function explainError(thrown: unknown, command?: string): CliError {
  if (thrown instanceof CliError) return thrown
  if (thrown instanceof CommanderError) return explainCommanderError(thrown, command)
  if (!(thrown instanceof Error)) return defect(String(thrown), thrown)

  const error = thrown as CodedError
  if (typeof error.code !== 'string') return defect(error.message, error)
  // These say what to do in the message itself.
  if (error instanceof CaptureFileError) return new CliError(error.message, { code: error.code, cause: error })
  const fix = typeof error.fix === 'string' ? error.fix : lookUpFix(error.code, `${error.message} ${error.syscall} ${error.path}`)
  return new CliError(error.message, { code: error.code, fix, exitCode: error.exitCode === ExitCode.usage ? 2 : 1, cause: error })
}

/** "error: unknown command 'demp'\n(Did you mean demo?)" becomes what was wrong and a fix. */
function explainCommanderError(error: CommanderError, command?: string): CliError {
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n')
  const suggestion = /^\(Did you mean (.*)\?\)$/.exec(rest.join(' ').trim())?.[1]
  const fix =
    suggestion === undefined ? `see \`netloom ${command === undefined ? '' : `${command} `}--help\`` : `did you mean ${suggestion}?`
  return new CliError(first.replace(/\.$/, ''), { code: 'ERR_USAGE', fix, exitCode: ExitCode.usage, cause: error })
}

function lookUpFix(code: string, text: string): string | undefined {
  return EXPLANATIONS.find((explanation) => explanation.code === code && (explanation.about?.test(text) ?? true))?.fix
}

/** An error that nobody foresaw is our mistake, and said to be. */
function defect(message: string, cause: unknown): CliError {
  return new CliError(`internal error: ${message}`, {
    code: 'ERR_INTERNAL',
    fix: 'this is a defect in netloom: run it again with --debug and report what it prints',
    cause
  })
}

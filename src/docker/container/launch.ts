/**
 * From a record to a running process, and back: the order of the steps of a start, each undone when a later one fails.
 */
import { mkdir, rm } from 'node:fs/promises'
import { ApiError } from '../../api/api-error.ts'
import { capabilitySet } from '../../sandbox/capabilities.ts'
import { Sandbox } from '../../sandbox/sandbox.ts'
import type { SandboxError } from '../../sandbox/sandbox-error.ts'
import type { ResourceLimits, SandboxOptions } from '../../sandbox/sandbox-options.ts'
import type { Container } from './container.ts'
import type { ContainerContext } from './container-context.ts'
import { sandboxMounts } from './container-mounts.ts'
import { logOptions } from './log-options.ts'
import { processEnvironment } from './process-environment.ts'

/** The shim counts its processes from here: a container's own is the first. */
export const MAIN_PROCESS = 1

/** Linux's __NEW_UTS_LEN, bytes. */
const MAX_HOSTNAME = 64

/**
 * Makes the sandbox, plugs it into its networks and starts the process. Nothing is recorded: a daemon that is killed on the way
 * finds the shim by its socket and ends it. Throws ApiError; everything made is gone then.
 */
export async function launch(container: Container, context: ContainerContext): Promise<void> {
  const { networking } = context.options
  const network = networking.sandboxNetwork(container)
  const options = await sandboxOptions(container, context, network)
  const sandbox = await Sandbox.create(options).catch((error: SandboxError) => {
    throw startError(error)
  })
  container.sandbox = sandbox
  try {
    const { environment } = await networking.start(container)
    container.linkedEnvironment = environment
    // As in Docker only here: one that could not be plugged in stays stopped by hand, and no daemon starts it by its policy.
    container.manuallyStopped = false
    try {
      container.process = await spawnMain(container, sandbox)
    } catch (error) {
      await networking.stop(container)
      throw startError(error as SandboxError)
    }
  } catch (error) {
    container.sandbox = null
    await sandbox.close()
    throw error
  }
}

/**
 * Ends what is left of a run: the sandbox, then its endpoints. Never fails: what could not be ended is logged, and swept by the next
 * daemon. In this order the last descriptor of a TAP is the engine's, which closes it in the background: the shim, of which we wait
 * for the end, would wait for the kernel to let go of the device.
 */
export async function land(container: Container, context: ContainerContext): Promise<void> {
  const { sandbox } = container
  const { networking, log } = context.options
  for (const end of [() => sandbox?.close(), () => networking.stop(container)]) {
    try {
      await end()
    } catch (error) {
      log(`container ${container.name}, at its end: ${error}`)
    }
  }
  container.sandbox = null
  container.process = null
}

async function sandboxOptions(
  container: Container,
  context: ContainerContext,
  network: SandboxOptions['network']
): Promise<SandboxOptions> {
  const { id, config, hostConfig, directory } = container
  if (Buffer.byteLength(config.Hostname) > MAX_HOSTNAME) {
    throw ApiError.badRequest(startMessage('error during container init: sethostname: invalid argument'))
  }
  const root = `${directory}/root`
  // The statuses are those of the earlier run's processes, whose numbers come again.
  const [mounts] = await Promise.all([
    context.options.networking.writeFiles(container).then(() => sandboxMounts(container)),
    mkdir(root, { recursive: true }),
    rm(`${directory}/status`, { force: true })
  ])
  const limits = limitsOf(container)
  return {
    name: id.slice(0, 12),
    hostname: config.Hostname,
    mode: { surviving: context.socketOf(id), stateDir: directory },
    init: hostConfig.Init === true,
    root: { image: container.image.layers, directory: root, readonly: hostConfig.ReadonlyRootfs },
    mounts,
    ...(network !== undefined && { network }),
    ...(config.Domainname !== '' && { domainname: config.Domainname }),
    ...(hostConfig.Sysctls !== undefined && { sysctls: hostConfig.Sysctls }),
    ...(limits !== null && { limits }),
    ...(hostConfig.Privileged ? { privileged: true } : { capabilities: capabilitySet(hostConfig.CapAdd ?? [], hostConfig.CapDrop ?? []) })
  }
}

function limitsOf({ hostConfig }: Container): ResourceLimits | null {
  const { Memory, NanoCpus, CpuQuota, CpuPeriod, PidsLimit } = hostConfig
  const cpus = NanoCpus > 0 ? NanoCpus / 1e9 : CpuQuota > 0 ? CpuQuota / (CpuPeriod || 100_000) : 0
  if (Memory === 0 && cpus === 0 && PidsLimit === null) return null
  return { ...(Memory > 0 && { memory: Memory }), ...(cpus > 0 && { cpus }), ...(PidsLimit !== null && { pids: PidsLimit }) }
}

function spawnMain(container: Container, sandbox: Sandbox): ReturnType<Sandbox['spawn']> {
  const { config, hostConfig, path, args } = container
  const [rows, columns] = hostConfig.ConsoleSize
  return sandbox.spawn({
    argv: [path, ...args],
    env: processEnvironment(container, config.Tty),
    cwd: config.WorkingDir || '/',
    stdio: [config.OpenStdin ? 'kept' : 'null', 'kept', 'kept'],
    log: logOptions(hostConfig.LogConfig),
    ...(config.User !== '' && { user: config.User }),
    ...(config.Tty && { tty: rows > 0 && columns > 0 ? { rows, columns } : true })
  })
}

/** Docker's sentence about a program that cannot run: 400, and what its client makes exit status 127 or 126 of. */
function startError(error: SandboxError): Error {
  if (isAboutUser(error)) return new ApiError(400, error.message, { cause: error })
  const isRequest = ['ENOENT', 'EACCES', 'ENOEXEC', 'ENOTDIR', 'EISDIR', 'E2BIG', 'EINVAL', 'EPERM'].includes(error.code)
  return new ApiError(isRequest ? 400 : 500, startMessage(error.message), { cause: error })
}

/** Docker looks users up itself, so that the sentence stands alone. */
export function isAboutUser(error: Error): boolean {
  return error.message.startsWith('unable to find user') || error.message.startsWith('unable to find group')
}

function startMessage(reason: string): string {
  return `failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ${reason}: unknown`
}

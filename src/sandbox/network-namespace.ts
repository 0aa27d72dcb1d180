import { loadNative } from '../io/load-native.ts'
import type { NativeBinding, OpenedTap } from '../io/native-binding.ts'
import { Netlink } from '../io/netlink/netlink.ts'
import { openTap, type TapOptions } from '../io/tap-device.ts'
import { InterfaceConfig, type InterfaceOptions, type ResolverRoute } from './interface-config.ts'
import { SandboxError } from './sandbox-error.ts'

/** A process's network namespace, or a file that names one (/run/netns/NAME, /proc/PID/ns/net). */
export type NamespaceTarget = { readonly pid: number } | { readonly path: string }

/**
 * A network namespace that we did not make, reached through the addon. It stays in being as long as this is open. To change
 * anything we need CAP_NET_ADMIN in it, and CAP_SYS_ADMIN to enter it: in practice, root.
 */
export class NetworkNamespace {
  readonly netlink: Netlink
  private readonly native: NativeBinding
  private readonly interfaces: InterfaceConfig
  private fd: number

  private constructor(native: NativeBinding, fd: number) {
    this.native = native
    this.fd = fd
    this.netlink = Netlink.inNamespace(native, fd)
    this.interfaces = new InterfaceConfig(this.netlink, (name, value) => native.writeFileInNetns(fd, `/proc/sys/${name}`, value))
  }

  /**
   * Throws SandboxError: ESRCH for a process that is not there, ENOENT for such a file, EINVAL for a file that is no network
   * namespace, EPERM; NativeUnavailableError.
   */
  static async open(target: NamespaceTarget): Promise<NetworkNamespace> {
    const native = loadNative()
    const path = 'pid' in target ? `/proc/${checkedPid(target.pid)}/ns/net` : target.path
    let fd = -1
    try {
      fd = native.openNetns(path)
      const namespace = new NetworkNamespace(native, fd)
      await namespace.netlink.links.find('lo') // enters it: whether that is possible shows only now
      return namespace
    } catch (error) {
      if (fd >= 0) native.closeFd(fd)
      throw openError(target, path, error as NodeJS.ErrnoException)
    }
  }

  /** Creates a TAP in the namespace; the descriptor belongs to the caller, and the interface goes when it is closed. */
  openTap(options: Omit<TapOptions, 'netns'>): OpenedTap {
    return openTap(this.native, { ...options, netns: this.fd })
  }

  configureInterface(options: InterfaceOptions): Promise<void> {
    return this.interfaces.configure(options)
  }

  routeResolver(route: ResolverRoute): Promise<void> {
    return this.interfaces.routeResolver(route)
  }

  unrouteResolver(device?: string): Promise<void> {
    return this.interfaces.unrouteResolver(device)
  }

  close(): void {
    if (this.fd >= 0) this.native.closeFd(this.fd)
    this.fd = -1
  }
}

function checkedPid(pid: number): number {
  if (Number.isInteger(pid) && pid > 0) return pid
  throw new SandboxError('EINVAL', `${pid} is not a process id`)
}

function openError(target: NamespaceTarget, path: string, error: NodeJS.ErrnoException): Error {
  const code = error.code ?? 'EIO'
  if (code === 'ENOENT' && 'pid' in target) return new SandboxError('ESRCH', `there is no process ${target.pid}`)
  if (code === 'EINVAL') return new SandboxError(code, `${path} is not a network namespace`)
  if (code === 'EPERM' || code === 'EACCES') return new SandboxError(code, `${path} may not be entered by this user: run as root`)
  return error
}

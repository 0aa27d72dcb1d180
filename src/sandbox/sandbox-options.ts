import type { HostsEntry } from './hosts-file.ts'

/** A shim that goes on without its creator. */
export interface SurvivingMode {
  /** Where it listens: at most 107 bytes, created with mode 0600, removed at the end. */
  readonly surviving: string
  /** An existing directory for logs and exit statuses; the creator's to remove. */
  readonly stateDir: string
}

/** A root file system of the sandbox's own: a writable overlay, entered with pivot_root. */
export interface RootOptions {
  /** Directories of layers, lowest first, with overlayfs's whiteouts; or the host's own root. */
  readonly image: readonly string[] | 'host'
  /**
   * An existing directory of the creator's, on a file system that keeps extended attributes. What is written in the sandbox
   * stays in it and is there again when another sandbox is given the same directory and image.
   */
  readonly directory: string
  /** Nothing can be written but to mounts. Default false. */
  readonly readonly?: boolean
  /** With 'host': absolute paths that the sandbox must not see, beside the parent of `directory`, /tmp and /run. */
  readonly hide?: readonly string[]
}

export interface MountOptions {
  readonly type: 'bind' | 'tmpfs'
  /** Of a bind: an existing path on the host. */
  readonly source?: string
  /** Absolute, in the sandbox; made when it is missing. Symbolic links on the way are followed inside the root only. */
  readonly target: string
  readonly readonly?: boolean
  /** [r]private (default), [r]slave or [r]shared, as mount(8) says it. A bind is recursive unless it lacks the 'r'. */
  readonly propagation?: string
  /** Of a tmpfs, as mount(8) takes them: 'size=64m,mode=755,exec'. Default 'noexec,nosuid,nodev'. */
  readonly options?: string
}

/** Kept in a cgroup, which is made only for those that are given. */
export interface ResourceLimits {
  /** Bytes. */
  readonly memory?: number
  /** In CPUs: 0.5 is half of one. */
  readonly cpus?: number
  readonly pids?: number
}

/** Whose network namespace: one of its own, the host's, or that of a process (of another sandbox). */
export type SandboxNetwork = 'own' | 'host' | { readonly pid: number }

export interface SandboxOptions {
  /** For messages, and the host name unless that is given. */
  readonly name: string
  /** At most 64 bytes. */
  readonly hostname?: string
  /** The NIS domain name, as `docker run --domainname`. */
  readonly domainname?: string
  readonly hosts?: readonly HostsEntry[]
  /** The text of /etc/resolv.conf. Default: 127.0.0.11. Without effect when there is a `root`. */
  readonly resolvConf?: string
  /**
   * 'owner-bound' (default): everything ends with this process, however it ends. Otherwise it goes on, and
   * Sandbox.reconnect finds it again.
   */
  readonly mode?: 'owner-bound' | SurvivingMode
  /**
   * true (default): PID 1 is a small process that buries orphans, and the sandbox stays until it is closed. false: PID 1 is
   * the first process that is spawned, as in Docker without --init, and its end ends all others.
   */
  readonly init?: boolean
  /** 'auto' (default): only where the kernel asks for it, that is, for an ordinary user. */
  readonly userNamespace?: 'auto' | 'always' | 'never'
  /**
   * Default: the host's root is shared, with private /etc/hosts, hostname and resolv.conf. With it these three are whatever
   * the image or `mounts` has, and /proc, /sys and /dev are as Docker makes them.
   */
  readonly root?: RootOptions
  /** In this order. Only with `root`. */
  readonly mounts?: readonly MountOptions[]
  /** Default 'own'. */
  readonly network?: SandboxNetwork
  /** 'net.ipv4.ip_forward': '1'. Those of interfaces that do not exist yet are set when the first process starts. */
  readonly sysctls?: Readonly<Record<string, string>>
  readonly limits?: ResourceLimits
  /** Capabilities of root's processes ('CAP_NET_RAW'), see capabilitySet(). Default: with `root` Docker's, else all. */
  readonly capabilities?: readonly string[] | 'all'
  /** Docker's --privileged: all capabilities and devices, nothing of /proc and /sys masked or read-only. */
  readonly privileged?: boolean
}

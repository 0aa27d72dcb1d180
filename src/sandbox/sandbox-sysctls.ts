import { constants } from 'node:os'
import { getSystemErrorMap } from 'node:util'
import { SandboxError } from './sandbox-error.ts'
import type { SandboxOptions } from './sandbox-options.ts'

/** The sysctls of a sandbox's network namespace: Docker's own, and those that were asked for. */
export class SandboxSysctls {
  private readonly write: (file: string, value: string) => Promise<void>
  private readonly userNamespace: boolean
  private readonly late = new Map<string, string>()
  private readonly asked = new Set<string>()

  /** `write` takes a path below /proc/sys. */
  constructor(write: (file: string, value: string) => Promise<void>, userNamespace: boolean) {
    this.write = write
    this.userNamespace = userNamespace
  }

  /** Throws SandboxError with runc's sentences. What has no file yet is kept for applyLate(). */
  async apply({ root, network = 'own', sysctls = {} }: SandboxOptions): Promise<void> {
    if (root && network === 'own') {
      // Everybody may ping and serve low ports. In a user namespace only our own group is known.
      await this.write('net/ipv4/ping_group_range', this.userNamespace ? '0 0' : '0 2147483647')
      await this.write('net/ipv4/ip_unprivileged_port_start', '0')
    }
    for (const [name, value] of Object.entries(sysctls)) {
      if (!name.startsWith('net.')) throw new SandboxError('EINVAL', `sysctl "${name}" is not in a separate kernel namespace`)
      this.asked.add(fileOf(name))
      if (network === 'host') throw new SandboxError('EINVAL', `sysctl "${name}" not allowed in host network namespace`)
      try {
        await this.set(name, value)
      } catch (error) {
        if ((error as SandboxError).code !== 'ENOENT') throw error
        this.late.set(name, value) // perhaps of an interface that is still to come
      }
    }
  }

  /** Before a process starts: interfaces are there now. Throws SandboxError. */
  async applyLate(): Promise<void> {
    for (const [name, value] of this.late) await this.set(name, value)
    this.late.clear()
  }

  /** Whether `file`, below /proc/sys, is among those that were asked for. */
  wasAsked(file: string): boolean {
    return this.asked.has(file)
  }

  private async set(name: string, value: string): Promise<void> {
    const file = fileOf(name)
    try {
      await this.write(file, value)
    } catch (error) {
      if (!(error instanceof SandboxError)) throw error
      const meaning = getSystemErrorMap().get(-(constants.errno as Record<string, number>)[error.code]!)?.[1] ?? error.code
      throw new SandboxError(error.code, `error during container init: ${error.syscall} /proc/sys/${file}: ${meaning}`, error.syscall)
    }
  }
}

/** By its name with dots, or slashes where a part has dots itself (sysctl(8)). */
function fileOf(name: string): string {
  return name.includes('/') ? name : name.replaceAll('.', '/')
}

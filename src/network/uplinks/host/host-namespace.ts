import { fstatSync, statSync } from 'node:fs'
import type { NativeBinding } from '../../../io/native-binding.ts'
import { Conntrack } from '../../../io/netlink/conntrack.ts'
import { Netlink } from '../../../io/netlink/netlink.ts'
import { Nftables } from '../../../io/netlink/nftables/nftables.ts'

/** The network namespace whose machine we are "on": the caller's own, or for tests one of a descriptor. */
export class HostNamespace {
  readonly native: NativeBinding
  /** -1: the caller's own. */
  readonly fd: number
  readonly netlink: Netlink
  readonly nftables: Nftables
  readonly conntrack: Conntrack

  constructor(native: NativeBinding, fd: number) {
    this.native = native
    this.fd = fd
    this.netlink = Netlink.inNamespace(native, fd)
    this.nftables = Nftables.inNamespace(native, fd)
    this.conntrack = Conntrack.inNamespace(native, fd)
  }

  get namespaceInode(): number {
    return (this.fd < 0 ? statSync('/proc/self/ns/net') : fstatSync(this.fd)).ino
  }

  /** Tells this namespace of this boot from all others: its inode, and the kernel's id of the boot. */
  get id(): string {
    return `${this.native.readFileInNetns(-1, '/proc/sys/kernel/random/boot_id').trim()}/${this.namespaceInode}`
  }

  /** `net/ipv4/ip_forward`; null: this kernel has no such setting. */
  sysctl(name: string): string | null {
    try {
      return this.native.readFileInNetns(this.fd, `/proc/sys/${name}`).trim()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    }
  }

  setSysctl(name: string, value: string): void {
    this.native.writeFileInNetns(this.fd, `/proc/sys/${name}`, value)
  }

  /** Sets what this kernel has of it. */
  trySysctl(name: string, value: string): void {
    if (this.sysctl(name) !== null) this.setSysctl(name, value)
  }

  get hasIpv6(): boolean {
    return this.sysctl('net/ipv6/conf/all/disable_ipv6') === '0'
  }
}

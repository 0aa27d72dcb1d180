/**
 * A TAP for a virtual machine: the machine's emulator holds the TAP, our end is a packet socket on it.
 *
 *   guest <-> QEMU, run by `owner` <-> TAP `name` <-> packet socket <-> engine
 *             -netdev tap,ifname=NAME,script=no,downscript=no
 *
 * The kernel's own stack stays out of it: no ARP, no IPv6, no address. As long as nobody holds the TAP it has no carrier,
 * and frames to it are dropped as `device.down`.
 */
import type { NativeBinding, OpenedPacketSocket } from './native-binding.ts'
import type { Link } from './netlink/links.ts'
import { Netlink } from './netlink/netlink.ts'
import { openPacketSocket } from './packet-socket-device.ts'
import { checkInterfaceName, openTap, TapError } from './tap-device.ts'

export interface MachineTapOptions {
  /** fd of the network namespace; -1 (default): the caller's own. */
  readonly netns?: number
  readonly name: string
  /** Id of a user who may open it without CAP_NET_ADMIN; null (default): none, so root only. */
  readonly owner?: number | null
  /** Longest packet, bytes; default 1500. */
  readonly mtu?: number
}

export interface MachineTap {
  /** For a PacketSocketDevice, which closes its descriptor. */
  readonly socket: OpenedPacketSocket
  /** False when the TAP was there before. */
  readonly created: boolean
  /** Removes the TAP if it was made here, also from under a machine that still holds it: its interface is then gone. May be called again. */
  close(): Promise<void>
}

/** Kind of TUN and TAP links in the kernel's words. */
const TUN_LINK = 'tun'

/**
 * Makes the TAP, which outlives this process when it is killed (`ip link delete NAME` ends it), and opens a packet socket on
 * it. A TAP of that name that exists is used, switched on, and otherwise left as it is: its owner, MTU, addresses and life
 * are its maker's business. Throws TapError for a bad option or an interface that is no TAP, SystemCallError and NetlinkError
 * from the kernel.
 */
export async function openMachineTap(native: NativeBinding, options: MachineTapOptions): Promise<MachineTap> {
  const { netns = -1, name, owner = null, mtu = 1500 } = options
  checkInterfaceName(name)
  if (name.includes('%')) throw new TapError(`interface name '${name}': the machine must be told a name, not a pattern`)
  const { links } = Netlink.inNamespace(native, netns)
  const existing = await links.find(name)
  if (existing !== null) {
    checkIsTap(existing)
    await links.set(existing.index, { up: true })
    return { socket: openPacketSocket(native, { netns, interface: name }), created: false, close: async () => {} }
  }

  // Without virtio_net_hdr and offloads: who opens it next negotiates its own, and would inherit ours.
  const tap = openTap(native, { netns, name, vnetHeader: false, persist: true, ownerUid: owner ?? -1 })
  native.closeFd(tap.fd)
  let closed = false
  const close = async (): Promise<void> => {
    if (closed) return
    closed = true
    await links.delete(tap.ifindex).catch((error) => {
      if (error.code !== 'ENODEV') throw error // somebody else deleted it before
    })
  }
  try {
    silenceIpv6(native, netns, name)
    await links.set(tap.ifindex, { mtu, arp: false, up: true })
    return { socket: openPacketSocket(native, { netns, interface: name }), created: true, close }
  } catch (error) {
    await close()
    throw error
  }
}

function checkIsTap({ name, linkKind, mac }: Link): void {
  if (linkKind !== TUN_LINK) throw new TapError(`interface '${name}' exists and is no TAP${linkKind && ` but a ${linkKind}`}`)
  if (mac === '') throw new TapError(`interface '${name}' exists and is a TUN, without Ethernet`)
}

/** Else the kernel would send neighbor and router solicitations into the network as soon as the link is up. */
function silenceIpv6(native: NativeBinding, netns: number, name: string): void {
  try {
    native.writeFileInNetns(netns, `/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, '1')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error // a kernel without IPv6
  }
}

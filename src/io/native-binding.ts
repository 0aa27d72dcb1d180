/**
 * What the addon `netloom_native` offers. TypeScript validates, C++ trusts: only the classes of this folder call these
 * functions, and they hand over checked values. A failed system call is an Error with `code` ('EPERM'), `errno` (negative),
 * `syscall`, and a message that names the object; see SystemCallError. File descriptors are plain numbers, close-on-exec,
 * and belong to the caller.
 */

declare const opaque: unique symbol
/** The frame pool as the addon knows it; ends with the garbage collector. */
export type NativeArena = { readonly [opaque]: 'arena' }
/** A descriptor watched on the JavaScript thread's loop, which it keeps alive. */
export type NativeWatch = { readonly [opaque]: 'watch' }
/** An epoll instance. */
export type NativePoller = { readonly [opaque]: 'poller' }

export interface SystemCallError extends Error {
  readonly code: string
  readonly errno: number
  readonly syscall: string
}

/** Pointers into a FramePool: each array may be a view of a SharedArrayBuffer. The addon keeps them alive. */
export interface ArenaOptions {
  readonly largeBase: number
  readonly smallSlotSize: number
  readonly largeSlotSize: number
  readonly headroom: number
  readonly start: Int32Array
  readonly length: Int32Array
  readonly flags: Int32Array
  readonly gsoType: Uint8Array
  readonly gsoSize: Uint16Array
  readonly hdrLen: Uint16Array
  readonly csumStart: Uint16Array
  readonly csumOffset: Uint16Array
  readonly smallFree: Int32Array
  readonly largeFree: Int32Array
  readonly tops: Int32Array
}

/** Bits of a poller's interest and events. */
export const PollEvent = {
  readable: 1,
  writable: 2,
  /** Error or hang-up; always reported. */
  broken: 4
} as const

/** Places in the `result` of `readFrames`. */
export const ReadResult = {
  /** errno that ended the batch: EAGAIN when nothing is left, ENOBUFS when the pool has no free small or large slot, 0 when the batch is full. */
  errno: 0,
  /** Frames dropped because their virtio_net_hdr contradicts itself or their length, and empty frames. */
  malformed: 1,
  /** Frames dropped because they are longer than a large slot. */
  truncated: 2
} as const

/** Places in the `result` of `writeFrames`. */
export const WriteResult = {
  /** EAGAIN when the device took no more, else 0. */
  errno: 0,
  /** Frames that the device refused. */
  failed: 1,
  /** errno of the last refused frame: EIO when the interface is down, EINVAL for headers that it does not accept. */
  lastFailure: 2
} as const

/** Bits of `joins` of `writeFrames`: what the device takes as a super-frame of UDP. */
export const Joins = { ipv4: 1, ipv6: 2 } as const

/** errno values that the data plane compares with (Linux, asm-generic). */
export const Errno = { EIO: 5, ENXIO: 6, EAGAIN: 11, EINVAL: 22, EBADFD: 77, ENETDOWN: 100, ENOBUFS: 105 } as const

export interface OpenTapOptions {
  /** fd of the network namespace to create it in; -1: the caller's own. */
  readonly netns: number
  /** At most 15 bytes, or a pattern such as 'tap%d'. */
  readonly name: string
  /** A layer-3 device: packets without an Ethernet header. */
  readonly tun: boolean
  /** Bytes of virtio_net_hdr before each frame: 0 for none, 10, 12 or 24. */
  readonly vnetHeaderLength: number
  /** TUN_F_ bits wanted, see TunOffload. */
  readonly offloads: number
  /** The device stays when the last fd is closed. */
  readonly persist: boolean
  /** The user who may open it later without CAP_NET_ADMIN; -1: none. */
  readonly ownerUid: number
}

export interface OpenedTap {
  /** Non-blocking. */
  readonly fd: number
  readonly name: string
  readonly ifindex: number
  /** TUN_F_ bits granted: a subset of those wanted. */
  readonly offloads: number
  readonly vnetHeaderLength: number
  /** A shim had it open, with the addresses and routes that it was given. Else absent. */
  readonly kept?: boolean
}

export interface OpenPacketSocketOptions {
  /** fd of the network namespace where the interface is; -1: the caller's own. */
  readonly netns: number
  readonly interface: string
  /** Also frames to other stations, while the socket is open. */
  readonly promiscuous: boolean
}

export interface OpenedPacketSocket {
  /** Non-blocking, bound to the interface. */
  readonly fd: number
  readonly name: string
  readonly ifindex: number
  /** As of now. */
  readonly mtu: number
  /** 12, or 10 before Linux 6.6. */
  readonly vnetHeaderLength: number
}

export interface OpenUdpUnderlayOptions {
  /** fd of the network namespace; -1: the caller's own. */
  readonly netns: number
  /** Of the host, IPv4 or IPv6: where all sockets are bound. */
  readonly address: string
  /** Where the first one receives. */
  readonly port: number
  /** How many send, from ports that the kernel chooses. */
  readonly senders: number
}

/** Places in the `result` of `packetSocketState`. */
export const PacketSocketState = {
  /** 1 while the interface exists; 0 for good once it was deleted or moved to another namespace. */
  bound: 0,
  /** 1 while it is up and has a carrier. */
  running: 1,
  /** Frames since the last call for which the socket's buffer had no place. */
  lost: 2
} as const

/** Both descriptors are the caller's to close. */
export interface StartedProgram {
  readonly pid: number
  readonly pidfd: number
  /** The end that we read. */
  readonly stderr: number
}

export interface ReceivedMessage {
  /** Empty when the peer has closed. */
  readonly data: Uint8Array
  readonly fds: number[]
}

export interface NativeBinding {
  // Frames. No function of this group allocates.
  createArena(options: ArenaOptions): NativeArena
  arenaAddChunk(arena: NativeArena, chunk: number, bytes: Uint8Array): void
  /**
   * Reads up to `max` frames without blocking and writes their handles to `out`; they belong to the caller. start, length,
   * flags and the offload fields are set; ingress, timestamp and packetId are not. Frames that fit go to small slots.
   * A batch is full with `max` frames or 192 KiB, whatever comes first, so that it stays in the cache until it is written.
   * `result`: see ReadResult. Returns the number of frames.
   */
  readFrames(arena: NativeArena, fd: number, vnetHeaderLength: number, out: Int32Array, max: number, result: Int32Array): number
  /** Takes up to `max` frames off the device's queue unread: when the pool is exhausted for good. Returns how many. */
  discardFrames(fd: number, max: number): number
  /**
   * Writes `handles[from .. from+count)`, each with its offload fields as virtio_net_hdr. Stops at EAGAIN. A frame that is
   * refused for another reason counts as done and failed, and `~handle` then stands in its place. The caller goes on owning
   * all of them. `result`: see WriteResult. `joins`: datagrams of one flow that follow each other go as one super-frame, see Joins;
   * frames and metadata stay as they are. Returns the number done.
   */
  writeFrames(
    arena: NativeArena,
    fd: number,
    vnetHeaderLength: number,
    handles: Int32Array,
    from: number,
    count: number,
    result: Int32Array,
    joins: number
  ): number

  /**
   * `readFrames` and `writeFrames` of a packet socket. The first puts 802.1Q tags back, and also ends with the errno of what
   * became of the interface (ENETDOWN). The second also stops at ENOBUFS: the interface's queue is full.
   */
  receiveFrames(arena: NativeArena, fd: number, vnetHeaderLength: number, out: Int32Array, max: number, result: Int32Array): number
  sendFrames(
    arena: NativeArena,
    fd: number,
    vnetHeaderLength: number,
    handles: Int32Array,
    from: number,
    count: number,
    result: Int32Array
  ): number
  /** `result`: see PacketSocketState. */
  packetSocketState(fd: number, result: Int32Array): void

  /**
   * Reads datagrams of a UDP underlay as whole frames: outer headers as `station` says (32 bytes: own MAC 6, the MAC that they seem to
   * come from 6, own address 16 with IPv4 in the last 4, own port 2, MTU 2, big-endian), inner TCP segments that belong together as one
   * super-frame. `out` has room for `max` frames, at least 129. `result`: see ReadResult, but place 2 counts datagrams for which there
   * was no slot. Returns the number of frames.
   */
  receiveTunnel(arena: NativeArena, fd: number, station: Uint8Array, out: Int32Array, max: number, result: Int32Array): number
  /**
   * Sends frames of the underlay as datagrams by the socket of `fds` that their outer source port says, modulo `result[3]`, a power of
   * two. Super-frames are cut, and partial inner checksums finished in place. Stops at EAGAIN and ENOBUFS; a frame that is refused is
   * done and failed, as with `writeFrames`. `result[4..67]` go along with the sockets: by peer (a hash of its
   * address), how many messages each datagram of which still is a message of its own, since the kernel did not cut one (UDP_SEGMENT).
   */
  sendTunnel(arena: NativeArena, fds: Int32Array, handles: Int32Array, from: number, count: number, result: Int32Array): number

  // Waiting.
  pollerCreate(): NativePoller
  /** `token` (0 to 2^31-1) names the descriptor in events; `interest`: PollEvent bits. Level-triggered. */
  pollerAdd(poller: NativePoller, fd: number, token: number, interest: number): void
  pollerModify(poller: NativePoller, fd: number, token: number, interest: number): void
  pollerRemove(poller: NativePoller, fd: number): void
  /**
   * Blocks until a descriptor is ready or `timeoutNs` (0: do not block, negative: no limit) has passed. Writes pairs
   * (token, PollEvent bits) to `events`, at most 256; returns the number of pairs, 0 also when a signal came.
   */
  pollerWait(poller: NativePoller, events: Int32Array, timeoutNs: number): number
  pollerClose(poller: NativePoller): void
  /** How far the kernel may delay this thread's time-outs; 1 for an engine, 50,000 by default. */
  setTimerSlack(ns: number): void
  /**
   * True: this thread runs before all ordinary ones (SCHED_RR, priority 1); false: as an ordinary one again, whose right to the former the
   * kernel then checks anew. Threads that it starts are ordinary. SystemCallError with EPERM without CAP_SYS_NICE and with an RLIMIT_RTPRIO of 0.
   */
  setRealtime(isRealtime: boolean): void
  /** CPU time of this thread so far, nanoseconds. */
  threadCpuTime(): number
  /** A non-blocking event counter. */
  eventfdCreate(): number
  /** A non-blocking descriptor that becomes readable every `periodNs`; `eventfdDrain` resets it. */
  timerfdCreate(periodNs: number): number
  /** Wakes whoever polls it; never blocks. */
  eventfdWrite(fd: number): void
  /** Resets it; returns how often it was written since. */
  eventfdDrain(fd: number): number

  // Devices and namespaces. A `netns` is an fd, or -1 for the caller's own namespace.
  openTap(options: OpenTapOptions): OpenedTap
  openPacketSocket(options: OpenPacketSocketOptions): OpenedPacketSocket
  /** The socket that receives, then those that send, all non-blocking. Throws EADDRINUSE, EADDRNOTAVAIL. */
  openUdpUnderlay(options: OpenUdpUnderlayOptions): number[]
  setTapPersist(fd: number, persist: boolean): void
  /** IFF_ bits that this kernel's tun driver has. */
  tunFeatures(): number
  /** Opens /proc/PID/ns/net or a bind mount of such a file. */
  openNetns(path: string): number
  /** A new network namespace, empty but for lo (down); lives as long as the fd or anything opened in it. */
  createNetns(): number
  /** For /proc/sys/net, which shows the reader's own namespace. */
  writeFileInNetns(netns: number, path: string, text: string): void
  readFileInNetns(netns: number, path: string): string
  /**
   * Sends netlink messages and returns all answers, raw: those to messages with NLM_F_ACK or NLM_F_DUMP (one dump at most) are waited
   * for, and refusals of others that come before. A refusal of the first message, a batch's beginning, ends it. Protocol 0 is
   * NETLINK_ROUTE, 12 NETLINK_NETFILTER.
   */
  netlinkExchange(netns: number, protocol: number, request: Uint8Array): Uint8Array
  /** The same on a thread of libuv's pool (four by default), for what takes the kernel long; throws where no socket can be opened. */
  netlinkExchangeAsync(netns: number, protocol: number, request: Uint8Array): Promise<Uint8Array>
  /** A non-blocking descriptor that becomes readable when something of `groups` (a mask of RTMGRP_ bits) changes there. */
  netlinkSubscribe(netns: number, protocol: number, groups: number): number
  /** Takes what such a descriptor was told, unread, and returns how many messages it was. More than it holds is lost. */
  netlinkDrain(fd: number): number
  /** Number of a user by name, as the system's databases know it; -1: there is none. */
  userId(name: string): number
  /**
   * Makes the file and locks it for this process until the fd is closed or the process ends, however it does. fd -1: another
   * process, `holder`, has it (0: one in a PID namespace that cannot be seen from here). No other descriptor of the file may be
   * opened and closed meanwhile: that would give the lock up (fcntl(2), F_SETLK).
   */
  lockFile(path: string): { fd: number; holder: number }
  closeFd(fd: number): void
  /** Returns at once; a thread of its own closes it. The number stays taken until then. */
  closeFdInBackground(fd: number): void
  setNonblocking(fd: number, nonblocking: boolean): void

  // Files that Node's fs cannot make. No symbolic link at the end of a path is followed.
  makeFifo(path: string, mode: number): void
  /** The character device 0/0: to overlayfs, "there is nothing here". */
  makeWhiteout(path: string): void
  setXattr(path: string, name: string, value: Uint8Array): void
  /** null: not there, or the file system keeps none. */
  getXattr(path: string, name: string): Uint8Array | null
  listXattrs(path: string): string[]

  // Unix SOCK_SEQPACKET sockets.
  socketpairSeqpacket(): [number, number]
  connectSeqpacket(path: string): number
  /** `bytes` must not be empty when `fds` are sent. */
  sendWithFds(fd: number, bytes: Uint8Array, fds: readonly number[]): void
  /** Blocks; ETIMEDOUT after `timeoutMs` (negative: never), EMSGSIZE when the message is longer than `maxBytes`. */
  receiveWithFds(fd: number, maxBytes: number, timeoutMs: number): ReceivedMessage
  /** The same on a thread of libuv's pool (four by default), for short waits only. Do not close the fd before it has settled. */
  receiveWithFdsAsync(fd: number, maxBytes: number, timeoutMs: number): Promise<ReceivedMessage>
  /** Calls `ready` on this thread whenever `fd` can be read or its peer has closed; makes the fd non-blocking. One watch for an fd. */
  watchReadable(fd: number, ready: () => void): NativeWatch
  /** Once for each watch, before the fd is closed. */
  unwatchReadable(watch: NativeWatch): void

  /**
   * Starts a program in a session of its own, without an environment, standard input and output /dev/null, by posix_spawn, which
   * does not copy the caller's page tables. When `pidfd` is readable it has ended, and `takeExitStatus` must be called, once.
   */
  startProgram(path: string, args: readonly string[]): StartedProgram
  /** -N: signal N ended it. */
  takeExitStatus(pid: number): number
}

/**
 * Linux as a gateway: three TAPs in a namespace of its own, nf_conntrack and nftables between them.
 *
 *   send -> write to TAP -> netif_receive_skb ... dev_queue_xmit -> queue of a TAP -> read
 *
 * All of it happens inside `write`, on this thread: what can be read afterwards came of this frame.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { type FrameHandle, FramePool } from '../../src/engine/frame-pool.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import type { NativeBinding } from '../../src/io/native-binding.ts'
import { openTap, TapDevice } from '../../src/io/tap-device.ts'
import type { TestFrameFields } from '../engine/test-elements.ts'
import { TestNamespace } from '../system/test-namespace.ts'
import { parseConntrack } from './conntrack-table.ts'
import type { FlowRecord, Gateway, OutFrame } from './gateway.ts'
import { IPV6_DEFAULTS, ipCommands, type KernelOptions, nftRules, sysctlsOf } from './kernel-rules.ts'
import { fromDevice, toSuperFrame } from './offloads.ts'
import { INTERFACES } from './world.ts'

const NETLINK_NETFILTER = 12
/** nlmsghdr and nfgenmsg: IPCTNL_MSG_CT_DELETE without a tuple, REQUEST | ACK (linux/netfilter/nfnetlink_conntrack.h). */
const FLUSH = Uint8Array.from([20, 0, 0, 0, 2, 1, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])

export class KernelGateway implements Gateway {
  readonly name: string
  private readonly native: NativeBinding = tryLoadNative()!
  private readonly netns = new TestNamespace()
  private readonly pool = new FramePool({ maxSmallChunks: 1, maxLargeChunks: 1, checked: true })
  private readonly taps: TapDevice[] = []
  private readonly handles = new Int32Array(128)
  private readonly one = new Int32Array(1)

  constructor(name: string, options: KernelOptions = {}) {
    this.name = name
    const before = options.family === 6 ? IPV6_DEFAULTS : { 'ipv6/conf/default/disable_ipv6': '1' }
    for (const [path, value] of Object.entries(before)) this.native.writeFileInNetns(this.netns.fd, `/proc/sys/net/${path}`, value)
    for (const { name, mtu } of INTERFACES) {
      const tap = openTap(this.native, { netns: this.netns.fd, name, vnetHeader: options.hasOffloads ?? false })
      this.taps.push(new TapDevice(this.pool, this.native, { ...tap, mtu }))
    }
    for (const [path, value] of sysctlsOf(options)) this.native.writeFileInNetns(this.netns.fd, `/proc/sys/net/${path}`, value)
    this.feed(ipCommands(options), 'ip', '-batch', '-')
    this.feed(nftRules(options), 'nft', '-f', '-')
  }

  send(number: number, frame: Uint8Array, segment = 0): OutFrame[] {
    const { pool, one } = this
    const handle = pool.allocate(frame.length)
    const bytes = frame.slice()
    if (segment > 0) this.mark(handle, toSuperFrame(bytes, segment))
    pool.bytes(handle).set(bytes, pool.start[handle])
    one[0] = handle
    const done = this.taps[number].write(one, 0, 1)
    pool.free(handle)
    assert.equal(done, 1)
    const out: OutFrame[] = []
    for (let from = 0; from < this.taps.length; from++) this.read(from, out)
    return out
  }

  /** The kernel's time goes by itself. */
  pass(): void {}

  flows(addresses: ReadonlySet<string>): FlowRecord[] {
    return parseConntrack(this.native.readFileInNetns(this.netns.fd, '/proc/thread-self/net/nf_conntrack'), addresses)
  }

  flush(): void {
    const answer = this.native.netlinkExchange(this.netns.fd, NETLINK_NETFILTER, FLUSH)
    // nlmsgerr: the error number stands behind the header.
    const error = new DataView(answer.buffer, answer.byteOffset).getInt32(16, true)
    assert.equal(error, 0, `the kernel did not forget its flows: error ${error}`)
  }

  close(): void {
    for (const tap of this.taps) tap.close()
    this.netns.close()
  }

  private mark(handle: FrameHandle, fields: Required<TestFrameFields>): void {
    const { pool } = this
    pool.flags[handle] = fields.flags
    pool.gsoType[handle] = fields.gsoType
    pool.gsoSize[handle] = fields.gsoSize
    pool.hdrLen[handle] = fields.hdrLen
    pool.csumStart[handle] = fields.csumStart
    pool.csumOffset[handle] = fields.csumOffset
  }

  private read(from: number, out: OutFrame[]): void {
    const { pool, handles } = this
    for (;;) {
      const count = this.taps[from].read(handles, handles.length)
      for (let i = 0; i < count; i++) {
        const handle = handles[i]
        const at = pool.start[handle]
        const bytes = pool.bytes(handle).slice(at, at + pool.length[handle])
        const [flags, gsoSize] = [pool.flags[handle], pool.gsoSize[handle]]
        const segment = fromDevice(bytes, { flags, gsoSize, csumStart: pool.csumStart[handle], csumOffset: pool.csumOffset[handle] })
        out.push({ interface: from, bytes, segment })
        pool.free(handle)
      }
      if (count < handles.length) return
    }
  }

  private feed(input: string, ...command: string[]): void {
    const { status, stderr } = spawnSync('nsenter', [`--net=${this.netns.path}`, ...command], { input, encoding: 'utf8' })
    assert.equal(status, 0, `${command.join(' ')}: ${stderr}`)
  }
}

/**
 * The lab's capture file: one interface block per endpoint, every frame once, where it entered.
 */
import { CaptureFile } from '../capture/capture-file.ts'
import { InlineCaptureFile } from '../capture/inline-capture-file.ts'
import type { InterfaceInfo } from '../capture/pcapng-writer.ts'
import type { NetworkController } from '../network/controller.ts'
import type { Endpoint } from '../network/endpoint.ts'
import type { Network } from '../network/network.ts'
import { MAC_LENGTH, parseIpv4, parseIpv6, parseMac } from '../wire/address.ts'
import { put16, put32 } from '../wire/big-endian.ts'
import { ipv4Mask } from '../wire/cidr.ts'

export interface LabCaptureOptions {
  /** Bytes kept of each frame; all by default. */
  readonly snapLength?: number
  /** `pcapng` by default. */
  readonly format?: 'pcapng' | 'pcap'
  /** Also record frames where they leave to an endpoint: each frame then stands in the file once per port that it crossed. */
  readonly everyPort?: boolean
  /** Told once when the file cannot be written any more; traffic goes on. */
  readonly onError?: (error: Error) => void
}

export interface LabCaptureResult {
  /** Frames in the file. */
  readonly frames: number
  /** Copies that are not: the writer was slower than the traffic, or failed. */
  readonly dropped: number
  /** Size of the file. */
  readonly bytes: number
}

/** The engine's name for what capture elements write to. */
const RESOURCE = 'capture'

/** What the two kinds of capture file have in common. */
type Recorder = CaptureFile | InlineCaptureFile

export class LabCapture {
  readonly path: string
  onClosed: () => void = () => {}
  private readonly controller: NetworkController
  private readonly recorder: Recorder
  /** Interface numbers by network/endpoint; an endpoint that comes back under its name keeps its interface. */
  private readonly interfaces = new Map<string, number>()
  private closing: Promise<LabCaptureResult> | null = null

  private constructor(path: string, controller: NetworkController, recorder: Recorder) {
    this.path = path
    this.controller = controller
    this.recorder = recorder
  }

  /** Rejects with CaptureFileError when the file cannot be written. */
  static async open(path: string, options: LabCaptureOptions, controller: NetworkController, seed: number | string): Promise<LabCapture> {
    const { engine } = controller
    const { snapLength, format, onError } = options
    // A virtual run names neither program version nor host: its bytes are the same on any machine.
    const common = { snapLength, format, baseTime: engine.epochNs, section: { application: 'netloom', comment: `seed ${seed}` }, onError }
    const recorder = engine.virtual ? InlineCaptureFile.open(path, common) : await CaptureFile.open({ path, ...common })
    const capture = new LabCapture(path, controller, recorder)
    const everyPort = options.everyPort ?? false
    const target = recorder instanceof CaptureFile ? { ring: recorder.ring, snapLength: recorder.snapLength } : { sink: recorder }
    try {
      await engine.share(RESOURCE, target)
      await controller.setCapture((network, endpoint) => capture.plan(network, endpoint, everyPort))
    } catch (error) {
      await recorder.close()
      throw error
    }
    return capture
  }

  /** Ends the file; everything that entered before is in it or counted as dropped. */
  close(): Promise<LabCaptureResult> {
    this.closing ??= this.end()
    return this.closing
  }

  private async end(): Promise<LabCaptureResult> {
    await this.controller.setCapture(null)
    await this.controller.engine.share(RESOURCE, undefined)
    const counts = await this.recorder.close()
    this.onClosed()
    return counts
  }

  private plan(network: Network, endpoint: Endpoint, everyPort: boolean): unknown {
    const name = endpoint.element
    let number = this.interfaces.get(name)
    if (number === undefined) {
      number = this.recorder.addInterface(interfaceInfo(name, network, endpoint))
      this.interfaces.set(name, number)
    }
    return { resource: RESOURCE, interface: number, everyPort }
  }
}

function interfaceInfo(name: string, network: Network, endpoint: Endpoint): InterfaceInfo {
  const { hi, lo } = parseMac(endpoint.mac)
  const mac = new Uint8Array(MAC_LENGTH)
  put16(mac, 0, hi)
  put32(mac, 2, lo)
  return {
    name,
    description: `${network.driver.name} network ${network.name}, endpoint ${endpoint.name}`,
    mac,
    ipv4: [{ address: ipv4Bytes(parseIpv4(endpoint.address)), mask: ipv4Bytes(ipv4Mask(endpoint.prefixLength)) }],
    ipv6: endpoint.address6 === '' ? [] : [{ address: parseIpv6(endpoint.address6), prefixLength: endpoint.prefixLength6 }]
  }
}

function ipv4Bytes(address: number): Uint8Array {
  const bytes = new Uint8Array(4)
  put32(bytes, 0, address)
  return bytes
}

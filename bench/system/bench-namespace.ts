import { closeSync, readlinkSync } from 'node:fs'
import { loadNative } from '../../src/io/load-native.ts'
import { BenchProcess } from './bench-process.ts'

/**
 * A network namespace for one end of a path: kept by a descriptor of this process, so it ends with the benchmark however
 * that ends. IPv6 is off: neighbor discovery would add traffic of its own.
 */
export class BenchNamespace {
  readonly fd: number
  private open = true

  private constructor(fd: number) {
    this.fd = fd
  }

  static async create(): Promise<BenchNamespace> {
    const namespace = new BenchNamespace(loadNative().createNetns())
    await namespace.run('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1')
    await namespace.run('ip', 'link', 'set', 'lo', 'up')
    return namespace
  }

  /** Opens for other processes while this one lives. */
  get path(): string {
    return `/proc/${process.pid}/fd/${this.fd}`
  }

  /** 'net:[4026532411]'. */
  get identity(): string {
    return readlinkSync(this.path)
  }

  /** Starts a command inside. */
  start(...argv: string[]): BenchProcess {
    return new BenchProcess(['nsenter', `--net=${this.path}`, ...argv])
  }

  /** Runs a command inside to its end, a minute at most, and returns what it wrote. */
  run(...argv: string[]): Promise<string> {
    return this.start(...argv).finish(60)
  }

  /** Gives an interface its address and sets it up. */
  async configure(device: string, address: string): Promise<void> {
    await this.run('ip', 'address', 'add', address, 'dev', device)
    await this.run('ip', 'link', 'set', device, 'up')
  }

  /** Waits until the interface is there: some peers make it in their own time. */
  async appeared(device: string, maker: BenchProcess): Promise<void> {
    await maker.until(`interface ${device}`, async () => new RegExp(` ${device}[@:]`).test(await this.run('ip', '-o', 'link')))
  }

  close(): void {
    if (this.open) closeSync(this.fd)
    this.open = false
  }
}

/**
 * How fast a kernel interface is, for those who are told of it: the interface block of a capture.
 *
 * Source: /sys/class/net/NAME/speed (net/core/net-sysfs.c), in Mbit/s. The folder shows the namespace in which sysfs was mounted, which need
 * not be the caller's: only an interface with the same index and MAC is believed.
 */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Link } from './netlink/links.ts'

/** bit/s; undefined where the driver does not tell (a bridge without ports, Wi-Fi, a link that is down) or cannot be asked. */
export async function interfaceSpeed(link: Pick<Link, 'name' | 'index' | 'mac'>, folder = '/sys/class/net'): Promise<number | undefined> {
  const read = async (file: string): Promise<string> => (await readFile(path.join(folder, link.name, file), 'utf8')).trim()
  try {
    const [index, mac] = [await read('ifindex'), await read('address')]
    if (index !== String(link.index) || mac !== link.mac) return undefined
    const megabits = Number(await read('speed'))
    return Number.isInteger(megabits) && megabits > 0 ? megabits * 1e6 : undefined
  } catch {
    return undefined
  }
}

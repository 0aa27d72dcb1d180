import { readResolvConf } from '../dns/resolv-conf.ts'
import { loadNative } from '../io/load-native.ts'
import { Netlink } from '../io/netlink/netlink.ts'
import { addressFamily } from '../wire/address.ts'

/**
 * What automatic subnets must stay away from, as Docker has it: where the machine has routes (its own addresses are among them), and
 * its name servers. IPv4 prefixes, as of now.
 */
export async function hostPrefixes(): Promise<string[]> {
  const routes = await Netlink.inNamespace(loadNative(), -1).routes.list()
  const reached = routes.map(({ to }) => to).filter((to) => !to.includes(':') && !to.endsWith('/0'))
  const servers = readResolvConf().nameservers.filter((address) => addressFamily(address) === 4)
  return [...reached, ...servers.map((address) => `${address}/32`)]
}

/**
 * Where things are in the store. What all daemons keep a copy of is under `live/`, the books of addresses beside it.
 *
 *   live/hosts/HOST              a host that is there (under its lease)
 *   live/networks/NETWORK        a network: name, subnets, VNIs
 *   live/endpoints/NETWORK/ID    an endpoint, on whichever host
 *   live/changes                 written by each commit that changes anything under live/: how far a copy is
 *   names/networks/NAME          the network of this name
 *   names/endpoints/NETWORK/NAME the endpoint of this name
 *   subnets                      all subnets of all networks
 *   vnis                         runs of VNIs in use
 *   pools/NETWORK/SUBNET         runs of addresses in use
 *   commits/HOST                 mark of the host's last commit
 *   reserved/HOST/NETWORK/ADDRESS an address and the host that asked for it
 */
export const LIVE = 'live/'
export const HOSTS = 'live/hosts/'
export const NETWORKS = 'live/networks/'
export const ENDPOINTS = 'live/endpoints/'
export const CHANGES = 'live/changes'
export const SUBNETS = 'subnets'
export const VNIS = 'vnis'
export const RESERVED = 'reserved/'

export const hostKey = (id: string): string => HOSTS + word(id)
export const networkKey = (id: string): string => NETWORKS + word(id)
export const endpointsPrefix = (networkId: string): string => `${ENDPOINTS}${word(networkId)}/`
export const endpointKey = (networkId: string, id: string): string => endpointsPrefix(networkId) + word(id)
export const networkNameKey = (name: string): string => `names/networks/${word(name)}`
export const endpointNameKey = (networkId: string, name: string): string => `names/endpoints/${word(networkId)}/${word(name)}`
export const poolKey = (networkId: string, subnet: string): string => `pools/${word(networkId)}/${word(subnet)}`
export const journalKey = (hostId: string): string => `commits/${word(hostId)}`
export const reservedPrefix = (hostId: string): string => `${RESERVED}${word(hostId)}/`
export const reservedKey = (hostId: string, networkId: string, address: string): string =>
  `${reservedPrefix(hostId)}${word(networkId)}/${word(address)}`

/** The words of a reservation's key. */
export function reservationOf(key: string): { hostId: string; networkId: string; address: string } {
  const [hostId, networkId, address] = key.slice(RESERVED.length).split('/').map(decodeURIComponent)
  return { hostId, networkId, address }
}

/** One word of a key: what would end it, or what a store has another meaning for, is percent-encoded. */
function word(text: string): string {
  const encoded = encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
  // ZooKeeper has no nodes of these names.
  return encoded === '.' ? '%2E' : encoded === '..' ? '%2E%2E' : encoded
}

/** Whoever else filters what the host forwards may drop what is ours: an accept in our table does not override a drop in another. */
import type { Chain } from '../../../io/netlink/nftables/nftables.ts'
import type { HostNamespace } from './host-namespace.ts'
import { FILTER_TABLE, LINK_NAME } from './host-settings.ts'

/** Chains of others that drop forwarded packets unless a rule of theirs accepts them. Those of iptables-legacy are not in nf_tables. */
export async function foreignForwardDrops({ nftables }: Pick<HostNamespace, 'nftables'>): Promise<Chain[]> {
  const chains = await nftables.chains()
  return chains.filter(
    ({ table, base }) =>
      base?.hook === 'forward' &&
      base.policy === 'drop' &&
      ['inet', 'ip', 'ip6'].includes(table.family) &&
      !(table.family === FILTER_TABLE.family && table.name === FILTER_TABLE.name)
  )
}

/** Tells of each such chain once, for as long as it is there. */
export class ForeignForwardDrops {
  private readonly host: Pick<HostNamespace, 'nftables'>
  private readonly log: (message: string) => void
  private known: ReadonlyMap<string, string> = new Map()

  constructor(host: Pick<HostNamespace, 'nftables'>, log: (message: string) => void) {
    this.host = host
    this.log = log
  }

  /** Of those that were there the last time. */
  get sentences(): readonly string[] {
    return [...this.known.values()]
  }

  /** Tells of those that were not there the last time. Throws NetlinkError. */
  async look(): Promise<void> {
    const chains = await foreignForwardDrops(this.host)
    const { known } = this
    this.known = new Map(chains.map((chain) => [nameOf(chain), sentenceOf(chain)]))
    for (const [name, sentence] of this.known) if (!known.has(name)) this.log(sentence)
  }
}

function sentenceOf(chain: Chain): string {
  const { text, fix } = explainForwardDrop(chain)
  return `${text}; to let them: ${fix.replaceAll('\n', ' && ')}`
}

function nameOf({ table, name }: Chain): string {
  return `${table.family} ${table.name} ${name}`
}

/** What it means, and the commands that let our packets through. */
export function explainForwardDrop({ table, name }: Chain): { text: string; fix: string } {
  const text = `the chain ${name} of the nftables table ${table.family} ${table.name} drops what it does not accept: containers may not reach the outside`
  return { text, fix: acceptCommands({ table, name }).join('\n') }
}

function acceptCommands({ table, name }: Pick<Chain, 'table' | 'name'>): string[] {
  // Tables of these names are written by iptables, which does not like foreign rules in them.
  if (table.family !== 'inet' && table.name === 'filter' && name === 'FORWARD') {
    const iptables = table.family === 'ip6' ? 'ip6tables' : 'iptables'
    return [`${iptables} -I FORWARD -i ${LINK_NAME} -j ACCEPT`, `${iptables} -I FORWARD -o ${LINK_NAME} -j ACCEPT`]
  }
  const where = `${table.family} ${table.name} ${name}`
  return [`nft insert rule ${where} iifname ${LINK_NAME} accept`, `nft insert rule ${where} oifname ${LINK_NAME} accept`]
}

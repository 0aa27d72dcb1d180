/**
 * The packet filter and NAT of one network namespace's kernel (nf_tables), without the nft program.
 *
 *   const nftables = Nftables.inNamespace(native, netnsFd)
 *   const table = { family: 'inet', name: 'example' } as const
 *   await nftables.commit(
 *     new NftablesBatch()
 *       .addTable(table)
 *       .addChain(table, 'postrouting', { type: 'nat', hook: 'postrouting', priority: Priority.sourceNat })
 *       .addRule(table, 'postrouting', address('saddr', '==', '172.17.0.0/16'), [masquerade()])
 *   )
 */
import type { NativeBinding } from '../../native-binding.ts'
import { NetlinkConnection, type NetlinkTransport } from '../connection.ts'
import { ControlType, readAttributes, readError, readMessages, textOf } from '../message-reader.ts'
import { NetlinkError } from '../netlink-error.ts'
import type { NftablesBatch, Table } from './batch.ts'
import {
  ChainAttribute,
  Family,
  type FamilyName,
  GENERIC_HEADER,
  Hook,
  HookAttribute,
  type HookName,
  MessageType,
  NETLINK_NETFILTER,
  TableAttribute,
  Verdict
} from './nf-tables.ts'

/** A chain as the kernel holds it. */
export interface Chain {
  readonly table: Table
  readonly name: string
  /** Only of chains that a hook calls ("base chains"). */
  readonly base?: { readonly hook: HookName; readonly priority: number; readonly policy: 'accept' | 'drop'; readonly type: string }
}

export class Nftables {
  private readonly transport: NetlinkTransport
  private readonly connection: NetlinkConnection
  private sequence = 1

  constructor(transport: NetlinkTransport) {
    this.transport = transport
    this.connection = new NetlinkConnection(transport)
  }

  /** Over the addon; `netns` is a namespace's fd, -1 for the caller's own. Needs CAP_NET_ADMIN there. */
  static inNamespace(native: NativeBinding, netns: number): Nftables {
    return new Nftables((request) => native.netlinkExchange(netns, NETLINK_NETFILTER, request))
  }

  /** Makes all the changes or none. Throws NetlinkError that names the first statement refused. */
  async commit(batch: NftablesBatch): Promise<void> {
    if (batch.length === 0) return
    const begin = this.sequence
    this.sequence = (begin + batch.length + 2) >>> 0
    for (const message of readMessages(await this.transport(batch.encode(begin)))) {
      if (message.type !== ControlType.error) continue
      const { errno, text } = readError(message)
      // A refusal of the beginning is one of the whole: no permission, or no nf_tables in this kernel.
      if (errno > 0) throw new NetlinkError(errno, `nft ${batch.describe(message.sequence - begin - 1)}`, text)
    }
  }

  async tables(): Promise<Table[]> {
    const answers = await this.connection.dump('nft list tables', MessageType.getTable, generic)
    return answers
      .filter(({ type, payload }) => type === MessageType.newTable && payload.byteLength >= GENERIC_HEADER)
      .map(({ payload }) => ({
        family: familyName(payload.getUint8(0)),
        name: text(readAttributes(payload, GENERIC_HEADER).get(TableAttribute.name))
      }))
  }

  /** Of all tables of all families. */
  async chains(): Promise<Chain[]> {
    const answers = await this.connection.dump('nft list chains', MessageType.getChain, generic)
    return answers
      .filter(({ type, payload }) => type === MessageType.newChain && payload.byteLength >= GENERIC_HEADER)
      .map(({ payload }) => {
        const attributes = readAttributes(payload, GENERIC_HEADER)
        const table: Table = { family: familyName(payload.getUint8(0)), name: text(attributes.get(ChainAttribute.table)) }
        const name = text(attributes.get(ChainAttribute.name))
        const hook = attributes.get(ChainAttribute.hook)
        if (hook === undefined) return { table, name }
        const place = readAttributes(hook, 0)
        const base = {
          hook: hookName(number(place.get(HookAttribute.number))),
          priority: number(place.get(HookAttribute.priority)),
          policy: number(attributes.get(ChainAttribute.policy), Verdict.accept) === Verdict.drop ? ('drop' as const) : ('accept' as const),
          type: text(attributes.get(ChainAttribute.type))
        }
        return { table, name, base }
      })
  }
}

/** Asks for objects of every family. */
function generic(message: { u8(value: number): typeof message }): void {
  message.u8(0).u8(0).u8(0).u8(0)
}

function familyName(number: number): FamilyName {
  return nameOf(Family, number) ?? 'inet'
}

/** Hooks of the families netdev and arp have other names; nobody here asks for them. */
function hookName(number: number): HookName {
  return nameOf(Hook, number) ?? 'postrouting'
}

function nameOf<T extends Record<string, number>>(numbers: T, number: number): keyof T | undefined {
  return Object.keys(numbers).find((name) => numbers[name] === number)
}

/** Netfilter's are big-endian and may be negative. */
function number(view: DataView | undefined, otherwise = 0): number {
  return view !== undefined && view.byteLength >= 4 ? view.getInt32(0) : otherwise
}

function text(view: DataView | undefined): string {
  return view === undefined ? '' : textOf(view)
}

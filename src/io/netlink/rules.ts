/** Policy rules, which choose a routing table: RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE. */
import { addressText, prefixBytes } from './address-bytes.ts'
import type { NetlinkConnection } from './connection.ts'
import { readAttributes, textOf, u32Of } from './message-reader.ts'
import { LITTLE_ENDIAN, RequestFlag } from './message-writer.ts'
import { AF_INET, AF_INET6, MessageType, RULE_ACTION_TABLE, RULE_FLAG_INVERT, RULE_HEADER, RuleAttribute } from './rtnetlink.ts'

export interface Rule {
  readonly family: 4 | 6
  /** Lower is asked first. The kernel's own are 0 (local), 32766 (main) and 32767 (default). */
  readonly priority: number
  /** The table asked. */
  readonly table: number
  /** Destination and source, `NETWORK/LENGTH`. */
  readonly to?: string
  readonly from?: string
  /** Name of the interface that the packet came in by; 'lo' for packets made here. */
  readonly inputInterface?: string
  /** The packet's mark. */
  readonly mark?: number
  /** The rule is about packets that do not match. */
  readonly not: boolean
}

export interface RuleOptions {
  readonly priority: number
  readonly table: number
  readonly to?: string
  readonly from?: string
  readonly inputInterface?: string
  /** The packet's mark, all 32 bits. */
  readonly mark?: number
  readonly not?: boolean
  /** Needed only where neither `to` nor `from` tells. Default 4. */
  readonly family?: 4 | 6
}

export class Rules {
  private readonly connection: NetlinkConnection

  constructor(connection: NetlinkConnection) {
    this.connection = connection
  }

  async list(family: 4 | 6 = 4): Promise<Rule[]> {
    const answers = await this.connection.dump('rule show', MessageType.getRule, (message) =>
      message
        .u8(family === 4 ? AF_INET : AF_INET6)
        .u8(0)
        .u8(0)
        .u8(0)
        .u8(0)
        .u8(0)
        .u8(0)
        .u8(0)
        .u32(0)
    )
    return answers
      .filter(({ type }) => type === MessageType.newRule)
      .map(({ payload }) => {
        const attributes = readAttributes(payload, RULE_HEADER)
        const to = attributes.get(RuleAttribute.destination)
        const from = attributes.get(RuleAttribute.source)
        const inputInterface = attributes.get(RuleAttribute.inputInterface)
        const mark = u32Of(attributes.get(RuleAttribute.mark))
        return {
          family,
          priority: u32Of(attributes.get(RuleAttribute.priority)) ?? 0,
          table: u32Of(attributes.get(RuleAttribute.table)) ?? payload.getUint8(4),
          ...(to && { to: `${addressText(to)}/${payload.getUint8(1)}` }),
          ...(from && { from: `${addressText(from)}/${payload.getUint8(2)}` }),
          ...(inputInterface && { inputInterface: textOf(inputInterface) }),
          ...(mark !== undefined && { mark }),
          not: (payload.getUint32(8, LITTLE_ENDIAN) & RULE_FLAG_INVERT) !== 0
        }
      })
  }

  async add(rule: RuleOptions): Promise<void> {
    await this.send(`rule add ${words(rule)}`, MessageType.newRule, RequestFlag.create | RequestFlag.exclusive, rule)
  }

  /** Throws NetlinkError ENOENT when there is no such rule. */
  async delete(rule: RuleOptions): Promise<void> {
    await this.send(`rule delete ${words(rule)}`, MessageType.delRule, 0, rule)
  }

  private async send(text: string, type: number, flags: number, rule: RuleOptions): Promise<void> {
    const to = rule.to === undefined ? undefined : prefixBytes(rule.to)
    const from = rule.from === undefined ? undefined : prefixBytes(rule.from)
    const family = to?.family ?? from?.family ?? (rule.family === 6 ? AF_INET6 : AF_INET)
    await this.connection.change(text, type, flags, (message) => {
      message
        .u8(family)
        .u8(to?.length ?? 0)
        .u8(from?.length ?? 0)
        .u8(0)
      message
        .u8(rule.table < 256 ? rule.table : 0)
        .u8(0)
        .u8(0)
        .u8(RULE_ACTION_TABLE)
      message.u32(rule.not ? RULE_FLAG_INVERT : 0)
      if (to !== undefined && to.length > 0) message.attribute(RuleAttribute.destination, to.network)
      if (from !== undefined && from.length > 0) message.attribute(RuleAttribute.source, from.network)
      if (rule.inputInterface !== undefined) message.attributeText(RuleAttribute.inputInterface, rule.inputInterface)
      if (rule.mark !== undefined) message.attributeU32(RuleAttribute.mark, rule.mark)
      message.attributeU32(RuleAttribute.priority, rule.priority)
      message.attributeU32(RuleAttribute.table, rule.table)
    })
  }
}

function words(rule: RuleOptions): string {
  return Object.entries(rule)
    .map(([key, value]) => `${key} ${value}`)
    .join(' ')
}

import { MessageWriter, RequestFlag } from '../message-writer.ts'
import { concatenate, concatenation, type DataTypeName } from './data-type.ts'
import type { Expression } from './expressions.ts'
import {
  BATCH_BEGIN,
  BATCH_END,
  ChainAttribute,
  DataAttribute,
  ElementAttribute,
  ElementListAttribute,
  ExpressionAttribute,
  Family,
  type FamilyName,
  Hook,
  HookAttribute,
  type HookName,
  LIST_ELEMENT,
  MessageType,
  RuleAttribute,
  SetAttribute,
  SetFlag,
  SUBSYSTEM,
  TableAttribute,
  Verdict
} from './nf-tables.ts'

export interface Table {
  readonly family: FamilyName
  readonly name: string
}

export interface ChainOptions {
  readonly type: 'filter' | 'nat' | 'route'
  readonly hook: HookName
  /** See Priority. */
  readonly priority: number
  /** The interface whose frames the chain sees: of a table of family netdev, at `ingress`. */
  readonly device?: string
  /** Default: accept. */
  readonly policy?: 'accept' | 'drop'
}

/** A map from values side by side to values side by side. */
export interface MapOptions {
  readonly key: readonly DataTypeName[]
  readonly value: readonly DataTypeName[]
}

export interface MapElement {
  readonly key: readonly Uint8Array[]
  /** Not needed to delete. */
  readonly value?: readonly Uint8Array[]
}

/** Elements in one message: their attribute holds at most 65,535 bytes, and one takes less than 100. */
const ELEMENTS_PER_MESSAGE = 500

/** One message to be; numbered when the batch is sent. */
type Statement = { readonly text: string; readonly message: (sequence: number, ack: boolean) => Uint8Array }

/**
 * Changes of nf_tables that the kernel makes all at once or not at all:
 *
 *   | BATCH_BEGIN | statement ... | BATCH_END |
 *
 * Statements are carried out in their order; later ones may use what earlier ones make. `Nftables.commit` sends it.
 */
export class NftablesBatch {
  private readonly statements: Statement[] = []
  private maps = 0

  get length(): number {
    return this.statements.length
  }

  /** What is there already stays. */
  addTable(table: Table): this {
    return this.add(`add table ${words(table)}`, MessageType.newTable, RequestFlag.create, table, (message) =>
      message.attributeText(TableAttribute.name, table.name).attributeU32Be(TableAttribute.flags, 0)
    )
  }

  /** With all that is in it, and whether it is there or not. */
  deleteTable(table: Table): this {
    // Only an existing table can be deleted; one that was just added is one.
    this.addTable(table)
    return this.add(`delete table ${words(table)}`, MessageType.delTable, 0, table, (message) =>
      message.attributeText(TableAttribute.name, table.name)
    )
  }

  addChain(table: Table, name: string, options: ChainOptions): this {
    const { type, hook, priority, device, policy = 'accept' } = options
    return this.add(`add chain ${words(table)} ${name}`, MessageType.newChain, RequestFlag.create, table, (message) => {
      message.attributeText(ChainAttribute.table, table.name).attributeText(ChainAttribute.name, name)
      message.nested(ChainAttribute.hook, () => {
        message.attributeU32Be(HookAttribute.number, Hook[hook]).attributeU32Be(HookAttribute.priority, priority)
        if (device !== undefined) message.attributeText(HookAttribute.device, device)
      })
      message.attributeU32Be(ChainAttribute.policy, Verdict[policy]).attributeText(ChainAttribute.type, type)
    })
  }

  /** `matches`: lists of expressions one after the other, the last of which decides. */
  addRule(table: Table, chain: string, ...matches: readonly (readonly Expression[])[]): this {
    return this.add(`add rule ${words(table)} ${chain}`, MessageType.newRule, RequestFlag.create | RequestFlag.append, table, (message) => {
      message.attributeText(RuleAttribute.table, table.name).attributeText(RuleAttribute.chain, chain)
      message.nested(RuleAttribute.expressions, () => {
        for (const { name, fill } of matches.flat()) {
          message.nested(LIST_ELEMENT, () => {
            message.attributeText(ExpressionAttribute.name, name)
            message.nested(ExpressionAttribute.data, () => fill(message))
          })
        }
      })
    })
  }

  addMap(table: Table, name: string, { key, value }: MapOptions): this {
    const keys = concatenation(key)
    const values = concatenation(value)
    const id = ++this.maps
    return this.add(`add map ${words(table)} ${name}`, MessageType.newSet, RequestFlag.create, table, (message) => {
      message.attributeText(SetAttribute.table, table.name).attributeText(SetAttribute.name, name)
      message.attributeU32Be(SetAttribute.flags, SetFlag.map)
      message.attributeU32Be(SetAttribute.keyType, keys.number).attributeU32Be(SetAttribute.keyLength, keys.length)
      message.attributeU32Be(SetAttribute.dataType, values.number).attributeU32Be(SetAttribute.dataLength, values.length)
      message.attributeU32Be(SetAttribute.id, id)
    })
  }

  /** Throws nothing for elements that are there with the same value; the commit fails (EEXIST) when the value is another. */
  addElements(table: Table, map: string, elements: readonly MapElement[]): this {
    return this.elements('add', MessageType.newElements, RequestFlag.create, table, map, elements)
  }

  /** The commit fails (ENOENT) when one is not there. */
  deleteElements(table: Table, map: string, elements: readonly MapElement[]): this {
    return this.elements('delete', MessageType.delElements, 0, table, map, elements)
  }

  /**
   * The messages, numbered from `sequence` on: the beginning has this number, statement i has `sequence + 1 + i`. The last
   * statement alone is acknowledged; others only answer when they are refused.
   */
  encode(sequence: number): Uint8Array {
    const { length } = this.statements
    const parts = [
      frame(BATCH_BEGIN, sequence),
      ...this.statements.map(({ message }, i) => message(sequence + 1 + i, i === length - 1)),
      frame(BATCH_END, sequence + 1 + length)
    ]
    return Buffer.concat(parts)
  }

  /** In nft's words, for errors; of the statement with index `index`. */
  describe(index: number): string {
    return this.statements[index]?.text ?? 'nftables batch'
  }

  private elements(verb: string, type: number, flags: number, table: Table, map: string, elements: readonly MapElement[]): this {
    for (let from = 0; from < elements.length; from += ELEMENTS_PER_MESSAGE) {
      const part = elements.slice(from, from + ELEMENTS_PER_MESSAGE)
      this.add(`${verb} ${part.length} elements ${words(table)} ${map}`, type, flags, table, (message) => {
        message.attributeText(ElementListAttribute.table, table.name).attributeText(ElementListAttribute.set, map)
        message.nested(ElementListAttribute.elements, () => {
          for (const element of part) message.nested(LIST_ELEMENT, () => writeElement(message, element))
        })
      })
    }
    return this
  }

  private add(text: string, type: number, flags: number, table: Table, fill: (message: MessageWriter) => void): this {
    this.statements.push({
      text,
      message: (sequence, ack) => {
        const message = new MessageWriter(type, RequestFlag.request | flags | (ack ? RequestFlag.ack : 0), sequence)
        message.u8(Family[table.family]).u8(0).u8(0).u8(0)
        fill(message)
        return message.finish()
      }
    })
    return this
  }
}

function writeElement(message: MessageWriter, { key, value }: MapElement): void {
  message.nested(ElementAttribute.key, () => message.attribute(DataAttribute.value, concatenate(key)))
  if (value === undefined) return
  message.nested(ElementAttribute.data, () => message.attribute(DataAttribute.value, concatenate(value)))
}

/** Beginning or end of a batch: an nfgenmsg whose res_id names the subsystem. */
function frame(type: number, sequence: number): Uint8Array {
  return new MessageWriter(type, RequestFlag.request, sequence).u8(0).u8(0).u8(0).u8(SUBSYSTEM).finish()
}

function words({ family, name }: Table): string {
  return `${family} ${name}`
}

import type { LinkRow } from '../../api/link-json.ts'
import type { Client } from '../../client/client.ts'
import type { LinkSettings } from '../../elements/netem/link-settings.ts'
import { linkWords } from '../../elements/netem/link-words.ts'
import { readLinkText } from '../../network/link-text.ts'
import { splitWords } from '../../network/split-words.ts'
import { Control } from './extcap-answers.ts'
import { ToolbarCommand, type ToolbarMessage } from './toolbar-message.ts'

type Field = 'delay' | 'loss' | 'rate'
type Direction = 'out' | 'in'

const FIELDS: readonly Field[] = ['delay', 'loss', 'rate']

/**
 * The toolbar of a capture: shows delay, loss and rate of the captured link and sets them, one at a time, live. What else is set on the
 * link (queue, reordering...) stays. A target without a link, such as the uplink, has the controls greyed out.
 *
 * Before Wireshark says that it is ready it sends what its user typed before the capture began: that is set then, all together.
 */
export class LinkToolbar {
  private readonly client: Client
  private readonly target: string
  private readonly send: (message: ToolbarMessage) => void
  /** What links are asked for by: the target as LinkControl calls it, once the capture has begun. */
  private link: string
  private directions: readonly Direction[] = ['out', 'in']
  /** Typed before the capture began. */
  private readonly early = new Map<Field, string>()
  private isReady = false
  /** One change at a time, in the order in which they were made. */
  private last: Promise<void> = Promise.resolve()

  /** `target`: 'lan/web', 'lan', 'host1/eth0'; in a lab also 'host1/lan/web'. */
  constructor(client: Client, target: string, send: (message: ToolbarMessage) => void) {
    this.client = client
    this.target = target
    this.link = target
    this.send = send
  }

  /** Resolves when the message has been acted on; never rejects: what goes wrong is told on the toolbar. */
  receive(message: ToolbarMessage): Promise<void> {
    this.last = this.last.then(() => this.act(message)).catch((error: unknown) => this.tellError(error))
    return this.last
  }

  private async act({ control, command, payload }: ToolbarMessage): Promise<void> {
    if (command === ToolbarCommand.initialized) return this.begin()
    if (command !== ToolbarCommand.set) return
    const field = FIELDS.find((name) => Control[name] === control)
    if (control === Control.direction) {
      this.directions = payload === 'out' || payload === 'in' ? [payload] : ['out', 'in']
      if (this.isReady) await this.show()
    } else if (control === Control.clear) {
      await this.clear()
    } else if (field !== undefined) {
      if (this.isReady) await this.change((settings) => changed(settings, field, payload))
      else this.early.set(field, payload)
    }
  }

  private async begin(): Promise<void> {
    this.isReady = true
    const link = await this.findLink()
    if (link === undefined) {
      for (const control of [...FIELDS.map((name) => Control[name]), Control.direction, Control.clear])
        this.tell(control, ToolbarCommand.disable)
      return
    }
    this.link = link
    const { early } = this
    if (early.size === 0) return this.show()
    await this.change((settings) => Array.from(early).reduce((result, [field, text]) => changed(result, field, text), settings))
  }

  /** Sets what `next` makes of each direction's settings, and shows what came of it. */
  private async change(next: (settings: LinkSettings) => LinkSettings): Promise<void> {
    const row = await this.row()
    const wanted = this.directions.map((direction) => ({ direction, words: linkWords(next(settingsOf(row?.[direction]))) }))
    const [first, second] = wanted
    if (second !== undefined && first!.words === second.words) await this.set('both', first!.words)
    else for (const { direction, words } of wanted) await this.set(direction, words)
    await this.show()
    const text = `${this.target}: ${wanted.map(({ direction, words }) => `${direction} ${words || 'unshaped'}`).join(', ')}`
    this.tell(Control.log, ToolbarCommand.statusBar, text)
    this.tell(Control.log, ToolbarCommand.add, `${text}\n`)
  }

  /** Whatever is set: what words cannot say too. */
  private async clear(): Promise<void> {
    for (const direction of this.directions) await this.set(direction, '')
    await this.show()
    const text = `${this.target}: ${this.directions.map((direction) => `${direction} unshaped`).join(', ')}`
    this.tell(Control.log, ToolbarCommand.statusBar, text)
    this.tell(Control.log, ToolbarCommand.add, `${text}\n`)
  }

  private async set(direction: Direction | 'both', words: string): Promise<void> {
    await this.client.links.set({ target: this.link, direction, words: splitWords(words) })
  }

  /** Of both directions, what is sent. */
  private async show(): Promise<void> {
    const settings = settingsOf((await this.row())?.[this.directions[0]!])
    for (const field of FIELDS) {
      const words = settings[field] === undefined ? '' : linkWords({ [field]: settings[field] })
      this.tell(Control[field], ToolbarCommand.set, words.slice(field.length + 1))
    }
  }

  /** undefined: nothing is set yet. Of a lab's LAN it is the first of its cables. */
  private async row(): Promise<LinkRow | undefined> {
    const rows = await this.client.links.list()
    const named = rows.find(({ network, endpoint }) => this.link === [network, endpoint].filter((name) => name !== '').join('/'))
    return named ?? rows.find(({ underlay }) => underlay === this.link)
  }

  /** Of a point what the daemon calls its link; a network, or a LAN of a lab, by its own name. undefined: it cannot be shaped. */
  private async findLink(): Promise<string | undefined> {
    const points = (await this.client.captures.points()).filter(({ link }) => link !== undefined)
    return points.find(({ name }) => name === this.target)?.link ?? points.find(({ network }) => network === this.target)?.network
  }

  private tellError(error: unknown): void {
    const text = `${this.target}: ${error instanceof Error ? error.message : String(error)}`
    this.tell(Control.log, ToolbarCommand.warning, text)
    this.tell(Control.log, ToolbarCommand.add, `${text}\n`)
    // What stands in the fields is not what holds.
    void this.show().catch(() => {})
  }

  private tell(control: number, command: number, payload = ''): void {
    this.send({ control, command, payload })
  }
}

/** Throws when there is more to the link than words can say: they would take it away. */
function settingsOf(text = ''): LinkSettings {
  if (/\[(table|schedule) of /.test(text)) throw new RangeError('the link has a trace file or a table, which cannot be changed here')
  return readLinkText({ words: text }) ?? {}
}

/** The settings with one of them anew, or without it. Throws for words that say something else. */
function changed(settings: LinkSettings, field: Field, text: string): LinkSettings {
  const { [field]: _, ...others } = settings
  const words = splitWords(text)
  if (words[0] === field) words.shift()
  if (words.length === 0) return others
  const { [field]: value, ...more } = readLinkText({ words: [field, ...words] }) ?? {}
  const [extra] = Object.keys(more)
  if (extra !== undefined) throw new RangeError(`'${text}' says more than the ${field}`)
  return { ...others, ...(value !== undefined && { [field]: value }) }
}

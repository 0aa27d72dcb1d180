/** The link of one endpoint to its network. */
import type { LinkOption } from '../link-option.ts'

export class LabLink {
  /** `network/endpoint`. */
  readonly name: string
  private readonly setCut: (on: boolean) => Promise<void>
  private readonly setShape: (link: LinkOption) => Promise<void>

  constructor(name: string, setCut: (on: boolean) => Promise<void>, setShape: (link: LinkOption) => Promise<void>) {
    this.name = name
    this.setCut = setCut
    this.setShape = setShape
  }

  /** Carries nothing any more, in either direction, names included. In labs with a probe. */
  cut(): Promise<void> {
    return this.setCut(true)
  }

  restore(): Promise<void> {
    return this.setCut(false)
  }

  /** tc netem's words, `'delay 50ms loss 1%'`; null: not shaped. */
  set(link: LinkOption): Promise<void> {
    return this.setShape(link)
  }
}

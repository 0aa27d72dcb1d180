/** Emulated links of endpoints: what each is set to, and how a change is made of it. */

import { checkLinkSettings, type LinkSettings, LinkSettingsError } from '../elements/netem/link-settings.ts'
import type { NetemOptions } from '../elements/netem/netem.ts'
import { NetworkError } from './network-error.ts'

/** The link between an endpoint and its network; a direction that is left out is not shaped. */
export interface LinkShape {
  /** What the endpoint sends. */
  readonly out?: LinkSettings
  /** What it gets. */
  readonly in?: LinkSettings
}

/** A direction that is left out stays as it is; null: not shaped any more. */
export interface LinkChange {
  readonly out?: LinkSettings | null
  readonly in?: LinkSettings | null
  /** Cuts the directions that are named, or joins them again, and leaves the rest of their settings. */
  readonly down?: { readonly out?: boolean; readonly in?: boolean }
}

/** Throws NetworkError `invalid` that names the setting and its value. */
export function checkLinkChange({ out, in: inward }: LinkChange): void {
  try {
    for (const settings of [out, inward]) if (settings !== undefined && settings !== null) checkLinkSettings(settings)
  } catch (error) {
    if (error instanceof LinkSettingsError) throw new NetworkError('invalid', error.message, { cause: error })
    throw error
  }
}

/** `before` with the change in it. */
export function changedLink(before: LinkShape | null, change: LinkChange): LinkShape {
  const direction = (name: 'out' | 'in'): LinkSettings | undefined => {
    const next = change[name]
    const settings = next === undefined ? before?.[name] : (next ?? undefined)
    const isDown = change.down?.[name]
    if (isDown === undefined) return settings
    if (isDown) return { ...settings, down: true }
    const { down: _, ...rest } = settings ?? {}
    return Object.keys(rest).length === 0 ? undefined : rest
  }
  const [out, inward] = [direction('out'), direction('in')]
  return { ...(out !== undefined && { out }), ...(inward !== undefined && { in: inward }) }
}

/** Port 0 of the element is the endpoint's side. */
export function netemOptions(link: LinkShape): NetemOptions {
  return { ...(link.out !== undefined && { forward: link.out }), ...(link.in !== undefined && { backward: link.in }) }
}

type Listener = () => void

/** What can be waited for in a container's life. */
export type Moment =
  /** It runs. */
  | 'started'
  /** A run ended, or a start failed; maybe another one follows by the restart policy. */
  | 'ended'
  /** It does not run and will not by itself. */
  | 'stopped'
  /** It is gone. */
  | 'removed'

/** Who waits for which moment of one container. Listeners are called in the order in which they came, once. */
export class Moments {
  private readonly listeners = new Map<Moment, Set<Listener>>()

  /** The next such moment; never when `gone` comes first. */
  next(moment: Moment, gone?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (gone?.aborted) return
      const forget = this.on(moment, resolve)
      gone?.addEventListener('abort', forget, { once: true })
    })
  }

  /** Calls back once. The function returned prevents it. */
  on(moment: Moment, listener: Listener): () => void {
    const set = this.listeners.get(moment) ?? new Set()
    this.listeners.set(moment, set)
    set.add(listener)
    return () => set.delete(listener)
  }

  reached(moment: Moment): void {
    const set = this.listeners.get(moment)
    if (set === undefined) return
    this.listeners.delete(moment)
    for (const listener of set) listener()
  }
}

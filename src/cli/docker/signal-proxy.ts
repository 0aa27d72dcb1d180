/** Signals of this process that a container's process is told in its place. SIGCHLD, SIGPIPE and SIGWINCH are our own. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGCONT', 'SIGALRM'] as const

/** Until the function returned is called. A signal to a container that has ended is lost. */
export function forwardSignals(kill: (signal: string) => Promise<void>): () => void {
  const forward = (signal: NodeJS.Signals): void => void kill(signal.slice('SIG'.length)).catch(() => {})
  for (const signal of SIGNALS) process.on(signal, forward)
  return () => {
    for (const signal of SIGNALS) process.removeListener(signal, forward)
  }
}

import type { Container } from './container.ts'

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * What a process of the container finds in its environment, in Docker's order of precedence: defaults, links, the container's own
 * variables, those of an exec. A name without '=' takes a variable away. HOME is the shim's part, which knows the user.
 */
export function processEnvironment(container: Container, tty: boolean, more: readonly string[] = []): Record<string, string> {
  const environment: Record<string, string> = { PATH, HOSTNAME: container.config.Hostname }
  if (tty) environment['TERM'] = 'xterm'
  for (const entry of [...container.linkedEnvironment, ...(container.config.Env ?? []), ...more]) {
    const equals = entry.indexOf('=')
    if (equals < 0) delete environment[entry]
    else environment[entry.slice(0, equals)] = entry.slice(equals + 1)
  }
  return environment
}

/** Ports as Docker writes them: `80/tcp`, `8090-8092`. */

export interface PortRange {
  readonly first: number
  readonly last: number
}

/** [protocol, rest] of `80/tcp`; tcp where there is none. */
export function parsePortSpec(text: string): [protocol: string, port: string] {
  const [port = '', protocol = 'tcp'] = text.split('/')
  return [protocol === '' ? 'tcp' : protocol.toLowerCase(), port]
}

/** `80` or `80-90`; the empty text is 0, any port. undefined for anything else. */
export function parsePortRange(text: string): PortRange | undefined {
  if (text === '') return { first: 0, last: 0 }
  const numbers = text.split('-')
  if (numbers.length > 2 || numbers.some((number) => !/^\d{1,5}$/.test(number) || Number(number) > 65535)) return undefined
  const [first, last = first] = numbers.map(Number) as [number, number?]
  return last < first ? undefined : { first, last }
}

/** Programs that netloom works well with and does not need. */
import { type Check, ok, warn } from './check.ts'
import type { Machine } from './machine.ts'

interface Tool {
  /** Any one of these will do. */
  readonly programs: readonly string[]
  /** Debian's name. */
  readonly debian: string
  readonly purpose: string
}

const TOOLS: readonly Tool[] = [
  { programs: ['wireshark', 'tshark'], debian: 'tshark', purpose: 'reads captures and explains them' },
  { programs: ['tcpdump'], debian: 'tcpdump', purpose: 'reads captures in a line each' },
  { programs: ['iperf3'], debian: 'iperf3', purpose: 'measures throughput in sandboxes' },
  { programs: ['ping'], debian: 'iputils-ping', purpose: 'for sandboxes and tests' },
  { programs: ['dig'], debian: 'bind9-dnsutils', purpose: 'asks the DNS at 127.0.0.11' },
  { programs: ['ip'], debian: 'iproute2', purpose: 'looks into namespaces' }
]

export function checkTools(machine: Machine): Check[] {
  return TOOLS.map(({ programs, debian, purpose }) => {
    const id = `tool-${programs[0]}`
    const found = programs.map((program) => machine.which(program)).filter((file) => file !== null)
    if (found.length > 0) return ok(id, found.join(', '))
    return warn(id, `no ${programs.join(' or ')} (${purpose})`, `${machine.uid === 0 ? '' : 'sudo '}apt-get install ${debian}`)
  })
}

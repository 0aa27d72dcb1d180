import type { LabView } from '../../emulation/lab-view.ts'
import type { Output } from '../output.ts'

/** Hosts with their sockets, then what runs on them. */
export function printLab(view: LabView, output: Output): void {
  output.table(
    ['HOST', 'ADDRESS', 'UNDERLAY', 'NETWORKS', 'SOCKET'],
    view.hosts.map(({ name, addresses, underlay, networks, socket }) => [
      name,
      addresses.join(' ') || '-',
      underlay ?? '-',
      networks.map((network) => network.name).join(' ') || '-',
      socket
    ])
  )
  output.line()
  output.table(
    ['SERVICE', 'HOST', 'IMAGE', 'STATUS', 'ADDRESS'],
    view.services.map(({ name, host, image, status, addresses }) => [name, host, image || '-', status, addresses.join(' ') || '-'])
  )
}

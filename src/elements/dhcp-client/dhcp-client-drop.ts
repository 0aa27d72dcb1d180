/**
 * Why frames end in a DHCP client.
 */
import { declareDrops } from '../../engine/drop-reason.ts'

export const DhcpClientDrop = declareDrops('dhcp-client', {
  taken: 'A DHCP message for the station: the client has read it.'
})

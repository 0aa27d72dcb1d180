import { declareDrops } from '../engine/drop-reason.ts'

/** Why frames end in the DNS service. */
export const DnsDrop = declareDrops('dns', {
  unknownAsker: 'No asker is configured for the port.',
  notDns: 'Neither UDP nor TCP to port 53.',
  notQuery: 'Too short for a DNS header, or a response: nothing that may be answered.',
  notForwarded: 'The name is unknown and the asker is on internal networks only; the client times out, as with Docker.',
  tooManyForwarded: 'Too many queries wait for the upstream servers.'
})

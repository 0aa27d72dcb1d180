import dnsPacket from 'dns-packet'

/** An answer of one A record to a query. */
export function encodeResponse(query: Uint8Array, address: string): Uint8Array {
  const { id, questions = [] } = dnsPacket.decode(Buffer.from(query))
  const [{ name }] = questions
  return Uint8Array.from(dnsPacket.encode({ type: 'response', id, questions, answers: [{ type: 'A', name, ttl: 60, data: address }] }))
}

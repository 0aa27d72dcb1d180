/**
 * Why fragments end here.
 */
import { declareDrops } from '../../engine/drop-reason.ts'

export const FragmentDrop = declareDrops('fragment', {
  malformed: 'The fragment is empty, has more to follow and no multiple of 8 bytes, or came as a super-frame or with a partial checksum.',
  tiny: 'The fragment is not the last and shorter than any link makes it (MTU 68, RFC 791 3.2).',
  oversize: 'The fragments together would be a packet of more than 65,535 bytes.',
  duplicate: 'The fragment lies inside what has come already.',
  overlap: 'The fragment covers a part of what has come already: the whole datagram is given up (RFC 5722).',
  contradiction: 'The fragments do not agree where the datagram ends: it is given up.',
  ecn: 'Some fragments say that their sender knows ECN, others that it does not (RFC 3168 5.3).',
  timeout: 'The other fragments of the datagram did not come in time.',
  evicted: 'The memory for fragments was full and this datagram had waited longest.'
})

/**
 * Docker's framing of output without a terminal, so that stdout and stderr share a connection:
 *
 *   0        1       4            8
 *   +--------+-------+------------+---------- ...
 *   | stream | 0 0 0 | length (BE)| bytes
 *   +--------+-------+------------+---------- ...
 *
 * The stream is 1 for stdout, 2 for stderr (Engine API, "Attach to a container", stream format).
 */
export function outputFrame(stream: 1 | 2, data: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(8 + data.length)
  frame.writeUInt32BE(stream << 24, 0)
  frame.writeUInt32BE(data.length, 4)
  frame.set(data, 8)
  return frame
}

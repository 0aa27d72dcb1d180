import { CaptureFormatError } from './capture-error.ts'
import type { CaptureReader } from './capture-reader.ts'
import { type CaptureBytes, CaptureSource } from './capture-source.ts'
import { PcapReader, pcapMagic } from './pcap-reader.ts'
import { isPcapng, PcapngReader } from './pcapng-reader.ts'

/**
 * Reads a capture, whatever its format and byte order: pcap (micro- or nanoseconds) or pcapng, as bytes in memory or as a
 * path. A file stays open until the iteration ends.
 *
 *     for (const frame of readCapture('run.pcapng')) console.log(frame.timestampNs, frame.data.length)
 *
 * Throws CaptureFileError (cannot be read) and CaptureFormatError (neither format; or, from the iteration, malformed).
 */
export function readCapture(input: Uint8Array | string): CaptureReader {
  const source = typeof input === 'string' ? CaptureSource.open(input) : CaptureSource.fromBytes(input)
  try {
    return readBytes(source)
  } catch (error) {
    source.close()
    throw error
  }
}

/** The same of any source. Throws CaptureFormatError when it begins as no capture does. */
export function readBytes(source: CaptureBytes): CaptureReader {
  if (isPcapng(source)) return new PcapngReader(source)
  if (pcapMagic(source) !== undefined) return new PcapReader(source)
  const start = Array.from(source.slice(0, 4), (byte) => byte.toString(16).padStart(2, '0')).join(' ')
  throw new CaptureFormatError(`neither pcap nor pcapng: it ${start === '' ? 'is empty' : `begins with ${start}`}`, 0)
}

/** Archives made by hand, field by field, so that tests can say what no well-behaved tool writes. */
const BLOCK = 512

export interface RawEntry {
  path: string
  /** The ustar type flag: '0' file, '1' hard link, '2' symbolic link, '3' character device, '5' directory, '6' FIFO, 'S' sparse... */
  type?: string
  link?: string
  mode?: number
  uid?: number
  gid?: number
  mtime?: number
  body?: Uint8Array | string
  /** In place of the body's length. */
  size?: number
  /** In place of the right checksum. */
  checksum?: number
  /** Records of an extended header before the entry. */
  pax?: Record<string, string>
}

/** An archive of these entries, with its end mark. */
export function tarball(entries: readonly RawEntry[]): Buffer {
  return Buffer.concat([...entries.map(tarEntry), Buffer.alloc(2 * BLOCK)])
}

export function tarEntry(entry: RawEntry): Buffer {
  const body = Buffer.from(entry.body ?? '')
  const header = Buffer.alloc(BLOCK)
  header.write(entry.path, 0, 100)
  octal(header, 100, 7, entry.mode ?? (entry.type === '5' ? 0o755 : 0o644))
  octal(header, 108, 7, entry.uid ?? 0)
  octal(header, 116, 7, entry.gid ?? 0)
  octal(header, 124, 11, entry.size ?? body.length)
  octal(header, 136, 11, entry.mtime ?? 1_000_000_000)
  header.write('        ', 148)
  header.write(entry.type ?? '0', 156)
  header.write(entry.link ?? '', 157, 100)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  octal(header, 148, 7, entry.checksum ?? sum)
  const extended = entry.pax === undefined ? Buffer.alloc(0) : tarEntry({ path: 'PaxHeader', type: 'x', body: paxRecords(entry.pax) })
  return Buffer.concat([extended, header, body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)])
}

function paxRecords(pax: Record<string, string>): string {
  return Object.entries(pax)
    .map(([name, value]) => {
      const rest = Buffer.byteLength(` ${name}=${value}\n`)
      let length = rest + 1
      while (String(length).length + rest !== length) length++
      return `${length} ${name}=${value}\n`
    })
    .join('')
}

function octal(header: Buffer, at: number, digits: number, value: number): void {
  header.write(`${value.toString(8).padStart(digits, '0')}\0`, at)
}

/** As a body of a request arrives: in pieces that fit nothing. */
export async function* inPieces(bytes: Uint8Array, length = 777): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length)
}

/** Bytes [at, end) as text: printable ASCII, and a dot for everything else, lest a frame speaks to the terminal. */
export function printable(bytes: Uint8Array, at: number, end: number): string {
  let text = ''
  for (let index = at; index < end; index++) text += bytes[index] >= 0x20 && bytes[index] < 0x7f ? String.fromCharCode(bytes[index]) : '.'
  return text
}

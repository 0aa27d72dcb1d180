/** Classes of characters of Go's `regexp`: ASCII, as RE2 has them. */
export type CharacterTest = (point: number) => boolean

const isDigit: CharacterTest = (point) => point >= 0x30 && point <= 0x39
const isUpper: CharacterTest = (point) => point >= 0x41 && point <= 0x5a
const isLower: CharacterTest = (point) => point >= 0x61 && point <= 0x7a
const isAlpha: CharacterTest = (point) => isUpper(point) || isLower(point)
const isAlnum: CharacterTest = (point) => isAlpha(point) || isDigit(point)
export const isWordCharacter: CharacterTest = (point) => isAlnum(point) || point === 0x5f
/** \s: without the vertical tab, which [[:space:]] has. */
const isPerlSpace: CharacterTest = (point) => point === 9 || point === 10 || point === 12 || point === 13 || point === 32
const isGraph: CharacterTest = (point) => point > 0x20 && point < 0x7f
const isHex: CharacterTest = (point) => isDigit(point) || (point >= 0x41 && point <= 0x46) || (point >= 0x61 && point <= 0x66)

const not =
  (test: CharacterTest): CharacterTest =>
  (point) =>
    !test(point)

export const ESCAPED_CLASSES: Readonly<Record<string, CharacterTest>> = {
  d: isDigit,
  D: not(isDigit),
  s: isPerlSpace,
  S: not(isPerlSpace),
  w: isWordCharacter,
  W: not(isWordCharacter)
}

export const POSIX_CLASSES: ReadonlyMap<string, CharacterTest> = new Map<string, CharacterTest>([
  ['alnum', isAlnum],
  ['alpha', isAlpha],
  ['ascii', (point) => point < 0x80],
  ['blank', (point) => point === 9 || point === 32],
  ['cntrl', (point) => point < 0x20 || point === 0x7f],
  ['digit', isDigit],
  ['graph', isGraph],
  ['lower', isLower],
  ['print', (point) => isGraph(point) || point === 32],
  ['punct', (point) => isGraph(point) && !isAlnum(point)],
  ['space', (point) => isPerlSpace(point) || point === 11],
  ['upper', isUpper],
  ['word', isWordCharacter],
  ['xdigit', isHex]
])

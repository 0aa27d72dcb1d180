/** The words of a command line as a shell splits them: quotes and backslashes, no expansions. Throws RangeError for a quote without its end. */
export function splitWords(text: string): string[] {
  const words: string[] = []
  let word: string | null = null
  let quote = ''
  for (let at = 0; at < text.length; at++) {
    const letter = text[at]!
    if (quote === "'" ? letter === "'" : letter === quote) quote = ''
    else if (letter === '\\' && quote !== "'" && at + 1 < text.length) word = (word ?? '') + text[++at]!
    else if (quote === '' && (letter === '"' || letter === "'")) {
      quote = letter
      word ??= ''
    } else if (quote === '' && /\s/.test(letter)) {
      if (word !== null) words.push(word)
      word = null
    } else word = (word ?? '') + letter
  }
  if (quote !== '') throw new RangeError(`'${text}' has a ${quote} without its end`)
  if (word !== null) words.push(word)
  return words
}

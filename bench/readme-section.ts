/** The part of a document that belongs to one suite: between two comments, written anew by `--update-readme`. */

/** Puts `content` between the suite's comments; adds them at the end where there are none yet. `command`: what writes it. */
export function withSection(
  readme: string,
  suite: string,
  content: string,
  command = `npm run bench -- --suite ${suite} --update-readme`
): string {
  const begin = `<!-- ${suite}: written by ${command} -->`
  const end = `<!-- end of ${suite} -->`
  const section = `${begin}\n\n${content.trim()}\n\n${end}`
  const from = readme.indexOf(begin)
  if (from < 0) return `${readme.trimEnd()}\n\n${section}\n`
  const to = readme.indexOf(end, from)
  if (to < 0) throw new Error(`there is '${begin}' and no '${end}' after it`)
  return readme.slice(0, from) + section + readme.slice(to + end.length)
}

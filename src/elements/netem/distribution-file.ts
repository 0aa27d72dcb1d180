/**
 * Tables of deviations as files, those of `tc netem ... distribution FILE` among them (iproute2: netem/README.distribution): numbers
 * between blanks, each as likely as the others, `#` begins a comment.
 *
 * Whole numbers throughout are tc's, of which 8,192 are one jitter; with a decimal point anywhere they are in jitters.
 */
import { LinkWordsError } from './link-units.ts'

/** NETEM_DIST_SCALE of the kernel. */
const SCALE = 8192

/** Deviations in units of jitter. Throws LinkWordsError with the number of the line. */
export function parseDistribution(text: string): number[] {
  const numbers: number[] = []
  let isWhole = true
  for (const [index, line] of text.split('\n').entries()) {
    for (const word of line.replace(/#.*/, '').split(/\s+/)) {
      if (word === '') continue
      if (!/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(word))
        throw new LinkWordsError(`line ${index + 1} of the distribution: '${word}' is no number`)
      if (!/^[-+]?\d+$/.test(word)) isWhole = false
      numbers.push(Number(word))
    }
  }
  if (numbers.length === 0) throw new LinkWordsError('the distribution has no numbers')
  return isWhole ? numbers.map((number) => number / SCALE) : numbers
}

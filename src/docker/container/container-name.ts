import { ApiError } from '../../api/api-error.ts'
import type { Random } from '../../engine/random.ts'

/** Moods and people of computing and science, two words as in Docker's generated names. */
const MOODS = (
  'admiring adoring agile amazing awake bold brave bright busy calm clever cool curious daring eager elastic epic fair fearless ' +
  'fervent focused friendly funny gallant gentle gifted happy hopeful humble jolly keen kind lively lucid lucky merry modest ' +
  'nifty nimble noble patient peaceful polite proud quick quiet relaxed serene sharp silent sleepy steady strong sunny sweet ' +
  'tender trusting upbeat vibrant vigilant warm wise witty wonderful zealous zen'
).split(' ')
const PEOPLE = (
  'abramson allen antonelli babbage baran bardeen bell berners bohr boole booth borg cerf clarke codd cray curie davies ' +
  'diffie dijkstra einstein engelbart euler feynman floyd franklin galileo gauss goldberg goodall hamilton hamming hawking ' +
  'hellman hertz hopper jacobson joliot kahn kare kepler kilby kirch kleinrock knuth lamarr lamport leavitt liskov lovelace ' +
  'mcclintock metcalfe mockapetris moore newton noether perlman poincare postel raman ride ritchie roberts rosalind sammet ' +
  'shannon swartz tesla thompson torvalds turing volta wilson wing wozniak yalow'
).split(' ')

const ALLOWED = '[a-zA-Z0-9][a-zA-Z0-9_.-]'
const VALID = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/

/** Checks a name that a user gave, and takes the slash off. Throws ApiError 400 with Docker's text. */
export function checkedName(name: string): string {
  if (VALID.test(name)) return name.replace(/^\//, '')
  throw ApiError.badRequest(`Invalid container name (${name}), only ${ALLOWED} are allowed`)
}

/** 'brave_turing', with a digit when many are taken. */
export function randomName(random: Random, isTaken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt++) {
    const suffix = attempt < 3 ? '' : random.below(10 ** Math.min(6, attempt - 2))
    const name = `${MOODS[random.below(MOODS.length)]}_${PEOPLE[random.below(PEOPLE.length)]}${suffix}`
    if (!isTaken(name)) return name
  }
}

/** Docker's containers are found by the beginning of their id too. */
const SHORT_ID = /^[0-9a-f]{12}$/

/** The names that a station of a network had been given, from those that a capture has of it: see endpointNames. */
export function givenNames(names: readonly string[], network: string): string[] {
  const own = names.filter((name) => !name.endsWith(`.${network}`))
  return [...own.filter((name) => !SHORT_ID.test(name)).reverse(), ...own.filter((name) => SHORT_ID.test(name))]
}

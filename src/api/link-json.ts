/** What /netloom/links takes and gives: the body of PUT, and a row of the list. */
export type { LinkRow, LinkWish as LinkRequest } from '../network/link-control.ts'

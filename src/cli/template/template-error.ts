/** A template that cannot be read or carried out, in the words of Go's text/template. */
export class TemplateError extends Error {
  readonly code = 'ERR_TEMPLATE'

  constructor(message: string) {
    super(message)
    this.name = 'TemplateError'
  }
}

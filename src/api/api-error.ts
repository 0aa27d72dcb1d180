/** An error that knows its HTTP status. The message is what Docker's daemon would say: clients and tests compare it. */
export class ApiError extends Error {
  readonly status: number

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ApiError'
    this.status = status
  }

  static badRequest(message: string, options?: ErrorOptions): ApiError {
    return new ApiError(400, message, options)
  }

  static forbidden(message: string, options?: ErrorOptions): ApiError {
    return new ApiError(403, message, options)
  }

  static notFound(message: string, options?: ErrorOptions): ApiError {
    return new ApiError(404, message, options)
  }

  static conflict(message: string, options?: ErrorOptions): ApiError {
    return new ApiError(409, message, options)
  }

  static internal(message: string, options?: ErrorOptions): ApiError {
    return new ApiError(500, message, options)
  }

  static notImplemented(message: string, options?: ErrorOptions): ApiError {
    return new ApiError(501, message, options)
  }
}

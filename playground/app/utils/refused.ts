import { SSEError } from 'nuxt-sse/client'
import { FetchError } from 'ofetch'

/** A client without access must not request a token repeatedly: `useSSE` reads that from the status of an `SSEError`. */
export function refused(error: unknown): never {
  if (error instanceof FetchError && error.statusCode === 401) throw new SSEError('SIGNED_OUT', 'You have signed out.', { statusCode: 401 })
  throw error
}

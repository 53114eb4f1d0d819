/**
 * Key for the header `Idempotency-Key`, new after each change of the request's data. A browser repeats a POST by itself when a kept-alive
 * connection closes before the response: https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
 */
export function useIdempotencyKey(...sent: Ref<unknown>[]): { headers: () => Record<string, string> } {
  let key = randomKey()
  watch(sent, () => key = randomKey(), { flush: 'sync' })
  return { headers: () => ({ 'idempotency-key': key }) }
}

/** 128 random bits. `crypto.randomUUID` is missing on a page without HTTPS that is not on localhost. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('')
}

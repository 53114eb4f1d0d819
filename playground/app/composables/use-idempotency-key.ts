/**
 * A key for the header `Idempotency-Key`, new with each change of what is sent. A browser sends a POST again by itself
 * when a connection that was kept open closes before the answer: https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
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

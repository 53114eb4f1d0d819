/** `Retry-After` header in milliseconds. `undefined` if it is absent, or neither seconds nor a date. Source: RFC 9110, 10.2.3. */
export function parseRetryAfter(value: string | null, now = Date.now()): number | undefined {
  if (!value) return undefined
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

import { SSEError } from '../../shared/errors'

/** Minimum length of a secret: 256 bits, which HS256 requires (RFC 7518, 3.2). A shorter secret can be guessed offline from one ticket. */
const MIN_SECRET_LENGTH = 32

/**
 * Parses the secrets of an option or an environment variable: one, several separated by commas, or a list. The first signs, and all verify,
 * so that secrets can be rotated without refusing a ticket. Empty if nothing was set. Throws `INVALID_OPTION`, whose text contains no
 * secret.
 */
export function readTicketSecrets(value: unknown): string[] {
  const secrets = (Array.isArray(value) ? value : [value ?? '']).flatMap(text => typeof text === 'string' ? text.split(',').map(part => part.trim()).filter(Boolean) : [text])
  const wrong = secrets.find(secret => typeof secret !== 'string' || secret.length < MIN_SECRET_LENGTH)
  if (wrong === undefined) return secrets
  const got = typeof wrong === 'string' ? `one with ${wrong.length}` : `a ${typeof wrong}`
  throw new SSEError('INVALID_OPTION', `Expected each secret in \`ticketSecret\` (NUXT_SSE_TICKET_SECRET) to have at least ${MIN_SECRET_LENGTH} characters, got ${got}. Generate one with \`openssl rand -base64 32\`.`)
}

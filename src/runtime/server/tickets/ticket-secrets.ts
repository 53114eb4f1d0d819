import { SSEError } from '../../shared/errors'

/** 256 bits, which HS256 requires (RFC 7518, 3.2): a shorter secret can be guessed from one ticket, at leisure. */
const MIN_SECRET_LENGTH = 32

/**
 * The secrets of an option or an environment variable: one, several separated by commas, or a list. The first signs, all
 * verify, so that one can follow another without a ticket refused. Empty where nothing was set. Throws `INVALID_OPTION`, which
 * names no secret.
 */
export function readTicketSecrets(value: unknown): string[] {
  const secrets = (Array.isArray(value) ? value : [value ?? '']).flatMap(text => typeof text === 'string' ? text.split(',').map(part => part.trim()).filter(Boolean) : [text])
  const wrong = secrets.find(secret => typeof secret !== 'string' || secret.length < MIN_SECRET_LENGTH)
  if (wrong === undefined) return secrets
  const got = typeof wrong === 'string' ? `one of ${wrong.length}` : `a ${typeof wrong}`
  throw new SSEError('INVALID_OPTION', `Expected each secret of \`ticketSecret\` (NUXT_SSE_TICKET_SECRET) to have at least ${MIN_SECRET_LENGTH} characters, got ${got}: make one with \`openssl rand -base64 32\`.`)
}

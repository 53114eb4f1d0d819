import { SignJWT } from 'jose/jwt/sign'
import { jwtVerify } from 'jose/jwt/verify'
import { JWSSignatureVerificationFailed } from 'jose/errors'
import { SSEError } from '../../shared/errors'
import { check, milliseconds, object } from '../../shared/rules'
import { findLost } from '../wire/lost-in-json'
import type { LostValue } from '../wire/lost-in-json'

/**
 * The only file that knows jose, loaded with the first ticket. A ticket is a JWT (RFC 7519) of a type of its own, so that no other
 * token that happens to be signed with the same secret is one.
 */

export interface SSETicketOptions {
  /** How long a stream may be opened with it, in milliseconds: 1 to 86,400,000 (a day). Default 60,000. */
  expiresInMs?: number
  /** What the handler should know of the bearer: anything JSON can hold. Whoever has the ticket can read it. Default `{}`. */
  claims?: Record<string, unknown>
}

export interface SSETicket<Claims = Record<string, unknown>> {
  /** The name of the channel that it opens. */
  channel: string
  /** As they were given to `createSSETicket`; `{}` where none were. */
  claims: Claims
  /** Epoch milliseconds. */
  expiresAt: number
}

const DEFAULT_EXPIRES_IN_MS = 60_000
const MAX_EXPIRES_IN_MS = 86_400_000
/** Half of what servers and proxies commonly accept as a url. */
const MAX_TICKET_LENGTH = 4_096
const TYPE = 'sse-ticket+jwt'
const ALGORITHM = 'HS256'

export async function signTicket(channel: string, { expiresInMs = DEFAULT_EXPIRES_IN_MS, claims = {} }: SSETicketOptions, [secret]: string[]): Promise<string> {
  if (!secret) throw secretMissing()
  check('expiresInMs', expiresInMs, milliseconds({ to: MAX_EXPIRES_IN_MS }))
  check('claims', claims, object())
  const ticket = await new SignJWT({ channel, claims: toJson(claims) })
    .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
    // In seconds, and to the millisecond: the standard allows a fraction.
    .setExpirationTime((Date.now() + expiresInMs) / 1000)
    .sign(toKey(secret))
  if (ticket.length > MAX_TICKET_LENGTH) throw new SSEError('INVALID_OPTION', `Expected \`claims\` to leave a ticket at most ${MAX_TICKET_LENGTH} characters long, got ${ticket.length}.`)
  return ticket
}

/** What a ticket says, if one of the secrets has signed it and it has not expired. Throws `TICKET_INVALID` or `TICKET_EXPIRED`, without a word of the ticket. */
export async function verifyTicket(ticket: unknown, secrets: string[]): Promise<SSETicket> {
  if (!secrets.length) throw secretMissing()
  if (typeof ticket !== 'string' || ticket.length > MAX_TICKET_LENGTH) throw invalid()
  for (const secret of secrets) {
    try {
      // The time is looked at below, to the millisecond, and only of what was signed.
      const { payload } = await jwtVerify<{ channel: string, claims: Record<string, unknown> }>(ticket, toKey(secret), { algorithms: [ALGORITHM], typ: TYPE, requiredClaims: ['exp', 'channel', 'claims'], currentDate: new Date(0) })
      const expiresAt = Math.round(payload.exp! * 1000)
      if (expiresAt <= Date.now()) throw new SSEError('TICKET_EXPIRED', 'The ticket has expired. Request a new one.', { statusCode: 401 })
      return { channel: payload.channel, claims: payload.claims, expiresAt }
    }
    catch (error) {
      if (error instanceof SSEError) throw error
      // Another secret may have signed it; anything else is wrong whatever the secret. jose's own message goes no further.
      if (!(error instanceof JWSSignatureVerificationFailed)) throw invalid()
    }
  }
  throw invalid()
}

function toKey(secret: string): Uint8Array {
  return new TextEncoder().encode(secret)
}

/** A copy of what JSON can hold: jose fails on a function. Looks at all of it, as claims are small, and a `Set` of roles must not become an empty object. */
function toJson<T extends object>(claims: T): T {
  let lost: LostValue | undefined
  let cause: unknown
  try {
    lost = findLost(claims, 'claims')
    if (!lost) return JSON.parse(JSON.stringify(claims))
  }
  catch (error) {
    cause = error
  }
  throw new SSEError('INVALID_OPTION', `Expected \`claims\` to be what JSON can hold${lost ? `, got ${lost.what} at \`${lost.path}\`` : ''}.`, { cause })
}

function invalid(): SSEError {
  return new SSEError('TICKET_INVALID', 'Invalid ticket.', { statusCode: 401 })
}

function secretMissing(): SSEError {
  return new SSEError('TICKET_SECRET_MISSING', 'Expected a secret to sign tickets with: set NUXT_SSE_TICKET_SECRET, to the same in all instances; `openssl rand -base64 32` makes one. In development there is one by itself.', { retry: false })
}

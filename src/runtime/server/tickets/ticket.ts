import { SignJWT } from 'jose/jwt/sign'
import { jwtVerify } from 'jose/jwt/verify'
import { JWSSignatureVerificationFailed } from 'jose/errors'
import { SSEError } from '../../shared/errors'
import { check, milliseconds, object } from '../../shared/rules'
import { findLost } from '../wire/lost-in-json'
import type { LostValue } from '../wire/lost-in-json'

/**
 * The only file that imports jose; loaded with the first ticket. A ticket is a JWT (RFC 7519) with a type of its own. Other tokens that are
 * signed with the same secret do not count as tickets.
 */

export interface SSETicketOptions {
  /** Lifetime of the ticket for opening streams, in milliseconds: 1 to 86,400,000 (a day). Default 60,000. */
  expiresInMs?: number
  /** Facts about the bearer for the handler: anything that JSON can hold. Every holder of the ticket can read them. Default `{}`. */
  claims?: Record<string, unknown>
}

export interface SSETicket<Claims = Record<string, unknown>> {
  /** Name of the channel that the ticket opens; of several, the first. */
  channel: string
  /** Names of all channels that the ticket opens, if it is for several. */
  channels?: string[]
  /** Claims as given to `createSSETicket`; `{}` if none were. */
  claims: Claims
  /** Time at which the ticket expires, in epoch milliseconds. */
  expiresAt: number
}

const DEFAULT_EXPIRES_IN_MS = 60_000
const MAX_EXPIRES_IN_MS = 86_400_000
/** Maximum length of a ticket, in characters: half of the URL length that servers and proxies commonly accept. */
const MAX_TICKET_LENGTH = 4_096
const TYPE = 'sse-ticket+jwt'
const ALGORITHM = 'HS256'

export async function signTicket(channel: string | readonly string[], { expiresInMs = DEFAULT_EXPIRES_IN_MS, claims = {} }: SSETicketOptions, [secret]: string[]): Promise<string> {
  if (!secret) throw secretMissing()
  check('expiresInMs', expiresInMs, milliseconds({ to: MAX_EXPIRES_IN_MS }))
  check('claims', claims, object())
  const ticket = await new SignJWT({ ...typeof channel === 'string' ? { channel } : { channel: channel[0], channels: channel }, claims: toJson(claims) })
    .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
    // In seconds, with a fraction for the milliseconds, which the standard allows.
    .setExpirationTime((Date.now() + expiresInMs) / 1000)
    .sign(toKey(secret))
  if (ticket.length > MAX_TICKET_LENGTH) throw new SSEError('INVALID_OPTION', `Expected the ticket to have at most ${MAX_TICKET_LENGTH} characters, got ${ticket.length}. Shorten its \`claims\`.`)
  return ticket
}

/**
 * Verifies a ticket, and returns its contents if one of the secrets has signed it and it has not expired. Throws `TICKET_INVALID` or
 * `TICKET_EXPIRED`, whose texts contain nothing of the ticket.
 */
export async function verifyTicket(ticket: unknown, secrets: string[]): Promise<SSETicket> {
  if (!secrets.length) throw secretMissing()
  if (typeof ticket !== 'string' || ticket.length > MAX_TICKET_LENGTH) throw invalid()
  for (const secret of secrets) {
    try {
      // The expiry is checked below, to the millisecond, and only for a signed ticket.
      const { payload } = await jwtVerify<{ channel: string, channels?: string[], claims: Record<string, unknown> }>(ticket, toKey(secret), { algorithms: [ALGORITHM], typ: TYPE, requiredClaims: ['exp', 'channel', 'claims'], currentDate: new Date(0) })
      const expiresAt = Math.round(payload.exp! * 1000)
      if (expiresAt <= Date.now()) throw new SSEError('TICKET_EXPIRED', 'The ticket has expired. Request a new one.', { statusCode: 401 })
      const { channel, channels, claims } = payload
      return { channel, ...channels && { channels }, claims, expiresAt }
    }
    catch (error) {
      if (error instanceof SSEError) throw error
      // Another secret may have signed it. Any other failure is final for every secret. jose's own message is dropped.
      if (!(error instanceof JWSSignatureVerificationFailed)) throw invalid()
    }
  }
  throw invalid()
}

function toKey(secret: string): Uint8Array {
  return new TextEncoder().encode(secret)
}

/**
 * Copies claims as JSON: jose fails on a function. Visits all of them, since claims are small, and a `Set` of roles must not become an
 * empty object.
 */
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
  throw new SSEError('INVALID_OPTION', `Expected \`claims\` to be serializable as JSON${lost ? `, got ${lost.what} at \`${lost.path}\`` : ''}.`, { cause })
}

function invalid(): SSEError {
  return new SSEError('TICKET_INVALID', 'Invalid ticket.', { statusCode: 401 })
}

function secretMissing(): SSEError {
  return new SSEError('TICKET_SECRET_MISSING', 'Expected a secret to sign tickets with. Set NUXT_SSE_TICKET_SECRET to the same value on all instances. Generate it with `openssl rand -base64 32`.', { retry: false })
}

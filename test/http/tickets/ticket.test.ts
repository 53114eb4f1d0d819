import { SignJWT, UnsecuredJWT } from 'jose'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { takeTicket } from '../../../src/runtime/server/tickets/take-ticket'
import { signTicket, verifyTicket } from '../../../src/runtime/server/tickets/ticket'
import { readTicketSecrets } from '../../../src/runtime/server/tickets/ticket-secrets'
import { SSEError } from '../../../src/runtime/shared/errors'
import { useSSEServer } from '../../support/sse-server'

const [first, second, strange] = ['f', 's', 'x'].map(letter => letter.repeat(32)) as [string, string, string]

/** The error for it, which must not show it. */
async function refusal(ticket: unknown, secrets = [first]): Promise<{ code: string, statusCode: number }> {
  const error = await verifyTicket(ticket, secrets).then(() => undefined, (thrown: unknown) => thrown)
  if (!(error instanceof SSEError)) throw new Error('Expected it to be refused.')
  const shown = [error.message, error.stack, JSON.stringify(error), error.cause].join('\n')
  for (const part of typeof ticket === 'string' ? ticket.split('.') : []) if (part.length > 3) expect(shown).not.toContain(part)
  return { code: error.code, statusCode: error.statusCode }
}

const INVALID = { code: 'TICKET_INVALID', statusCode: 401 }

describe('a ticket', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: 1_700_000_000_123 }))
  afterEach(() => void vi.useRealTimers())

  it('carries its channel and the data of its bearer until it expires, to the millisecond', async () => {
    const ticket = await signTicket('user:1 ü', { expiresInMs: 1_500, claims: { user: 'ann', roles: ['a'] } }, [first])
    expect(ticket).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
    vi.setSystemTime(1_700_000_000_123 + 1_499)
    expect(await verifyTicket(ticket, [first])).toEqual({ channel: 'user:1 ü', claims: { user: 'ann', roles: ['a'] }, expiresAt: 1_700_000_001_623 })
    vi.setSystemTime(1_700_000_000_123 + 1_500)
    expect(await refusal(ticket)).toEqual({ code: 'TICKET_EXPIRED', statusCode: 401 })
  })

  it('lasts a minute, and carries nothing of its bearer, by default', async () => {
    expect(await verifyTicket(await signTicket('c', {}, [first]), [first])).toEqual({ channel: 'c', claims: {}, expiresAt: Date.now() + 60_000 })
  })

  it('for several names all of them, and the first as older versions read it', async () => {
    const claims = { user: 'ann' }
    expect(await verifyTicket(await signTicket(['a', 'b', 'ü'], { claims }, [first]), [first])).toEqual({ channel: 'a', channels: ['a', 'b', 'ü'], claims, expiresAt: Date.now() + 60_000 })
    expect(await verifyTicket(await signTicket(['a'], {}, [first]), [first])).toEqual({ channel: 'a', channels: ['a'], claims: {}, expiresAt: Date.now() + 60_000 })
  })

  it('is signed with the first of the secrets, and verified with all', async () => {
    const [before, between, after] = await Promise.all([[first], [first, second], [second, first]].map(secrets => signTicket('c', {}, secrets)))
    expect((await verifyTicket(before, [second, first])).channel).toBe('c')
    expect((await verifyTicket(between, [first])).channel).toBe('c')
    expect(await refusal(after, [first])).toEqual(INVALID)
    expect((await verifyTicket(after, [first, second])).channel).toBe('c')
    expect(await refusal(await signTicket('c', {}, [strange]), [first, second])).toEqual(INVALID)
  })

  it('is invalid with any other letter in it', async () => {
    const ticket = await signTicket('channel', { claims: { user: 'ann' } }, [first])
    for (let at = 0; at < ticket.length; at++) {
      // Two letters of base64url that differ in their first bit: the last bits of a part may mean nothing.
      const letter = ticket[at]! < 'a' ? 'z' : 'A'
      expect(await refusal(ticket.slice(0, at) + letter + ticket.slice(at + 1))).toEqual(INVALID)
    }
  })

  it('is invalid when of another kind: unsigned, another algorithm, another type of token under the same secret, or one that lasts forever', async () => {
    const key = new TextEncoder().encode(first)
    const make = (payload: object, header: object = {}) => new SignJWT({ channel: 'c', claims: {}, ...payload }).setProtectedHeader({ alg: 'HS256', typ: 'sse-ticket+jwt', ...header }).sign(key)
    const exp = Date.now() / 1000 + 60
    expect((await verifyTicket(await make({ exp }), [first])).channel).toBe('c')
    for (const ticket of [
      new UnsecuredJWT({ channel: 'c', claims: {}, exp }).encode(),
      await make({ exp }, { alg: 'HS512' }),
      await make({ exp }, { typ: 'JWT' }),
      await make({ exp }, { typ: undefined }),
      await make({}),
      await make({ exp, channel: undefined }),
    ]) expect(await refusal(ticket)).toEqual(INVALID)
  })

  it.each([[''], ['..'], ['a.b.c'], ['ey'.repeat(3_000)], [['a', 'b']], [{}], [null], [1]])('is invalid: %j', async (ticket) => {
    expect(await refusal(ticket)).toEqual(INVALID)
  })

  it('of another server is only reported as not ours when it has expired', async () => {
    const ticket = await signTicket('c', { expiresInMs: 1 }, [strange])
    vi.setSystemTime(Date.now() + 1_000)
    expect(await refusal(ticket)).toEqual(INVALID)
  })

  it('is refused for invalid options', async () => {
    for (const expiresInMs of [0, -1, 1.5, Number.NaN, Infinity, 86_400_001, '60' as never]) {
      await expect(signTicket('c', { expiresInMs }, [first])).rejects.toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining('`expiresInMs` to be a whole number of milliseconds from 1 to 86400000') })
    }
    for (const claims of [null, 'ann', ['ann']]) await expect(signTicket('c', { claims: claims as never }, [first])).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    await expect(signTicket('c', { claims: { text: 'x'.repeat(5_000) } }, [first])).rejects.toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining('at most 4096 characters') })
    const circular: Record<string, unknown> = {}
    circular.self = circular
    await expect(signTicket('c', { claims: circular }, [first])).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    const lost = { user: { roles: new Set(['admin']) } }
    await expect(signTicket('c', { claims: lost }, [first])).rejects.toMatchObject({ code: 'INVALID_OPTION', message: 'Expected `claims` to be serializable as JSON, got an instance of Set at `claims.user.roles`.' })
    await expect(signTicket('c', { claims: { until: new Date(Number.NaN) } }, [first])).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    await expect(signTicket('c', { claims: { id: 1n } }, [first])).rejects.toMatchObject({ message: expect.stringContaining('a bigint at `claims.id`') })
  })

  it('is neither issued nor accepted without a secret', async () => {
    const missing = { code: 'TICKET_SECRET_MISSING', statusCode: 500, message: expect.stringContaining('NUXT_SSE_TICKET_SECRET') }
    await expect(signTicket('c', {}, [])).rejects.toMatchObject(missing)
    await expect(verifyTicket(await signTicket('c', {}, [first]), [])).rejects.toMatchObject(missing)
  })
})

describe('secrets', () => {
  it('are one, several with commas between them, or a list', () => {
    expect(readTicketSecrets(undefined)).toEqual([])
    expect(readTicketSecrets('')).toEqual([])
    expect(readTicketSecrets(first)).toEqual([first])
    expect(readTicketSecrets(` ${first}, ${second},`)).toEqual([first, second])
    expect(readTicketSecrets([first, `${second},${strange}`])).toEqual([first, second, strange])
  })

  it.each([['short-secret'], [`${first},short-secret`], [[first, 'short-secret']], [42], [[{}]]])('are refused without being shown: %j', (value) => {
    let message = ''
    try {
      readTicketSecrets(value)
    }
    catch (error) {
      message = (error as SSEError).message
      expect((error as SSEError).code).toBe('INVALID_OPTION')
    }
    expect(message).toContain('at least 32 characters')
    expect(message).not.toMatch(/short-secret|ffff/)
  })
})

describe('the ticket of a request', () => {
  const server = useSSEServer()
  beforeEach(() => {
    server.app.use('/layer', (event) => {
      const ticket = takeTicket(event)
      return { ticket: ticket ?? null, again: takeTicket(event) ?? null, path: event.path, url: event.node.req.url, original: (event.node.req as { originalUrl?: string }).originalUrl }
    })
  })

  it.each([
    ['?ticket=t', 't', ''],
    ['?a=1&ticket=t&b=%2F+2', 't', '?a=1&b=%2F+2'],
    ['?ticket=t&position=e.1', 't', '?position=e.1'],
    ['?tickets=1&x=ticket=2', null, '?tickets=1&x=ticket=2'],
    ['?ticket=t&ticket=u&%74icket=v', ['t', 'u', 'v'], ''],
    ['?a=?ticket=t', null, '?a=?ticket=t'],
    ['?a=1&ticket=', '', '?a=1'],
    ['', null, ''],
  ])('%j gives %j, and leaves %j', async (query, ticket, rest) => {
    const answer = await (await fetch(`${server.url}/layer/stream${query}`)).json()
    expect(answer).toEqual({ ticket, again: null, path: `/stream${rest}`, url: `/stream${rest}`, original: `/layer/stream${rest}` })
  })
})

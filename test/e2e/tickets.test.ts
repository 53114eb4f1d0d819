import { existsSync } from 'node:fs'
import { glob, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openSSE } from '../../src/runtime/client'
import { launchBrowser } from '../support/browser'
import type { BuiltServer } from '../support/built-server'
import { startBuiltServer, stopBuiltServers } from '../support/built-server'
import { projects } from '../support/projects'
import { SSEReader } from '../support/read-sse'
import { eventually } from '../support/conditions'

const [secret, next] = ['s', 'n'].map(letter => letter.repeat(32)) as [string, string]

/** With the current secret; during a change to the next, as on a restarted instance; without any. */
let server: BuiltServer
let changing: BuiltServer
let without: BuiltServer
beforeAll(async () => {
  [server, changing, without] = await Promise.all([secret, `${next},${secret}`, ''].map(value => startBuiltServer('basic', { env: { NUXT_SSE_TICKET_SECRET: value } }))) as [BuiltServer, BuiltServer, BuiltServer]
})
afterAll(stopBuiltServers)

const post = (url: string, body: unknown) => fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
const ticketFor = async (channel: string, options: object = {}, at = server) => (await post(`${at.url}/api/ticket/${channel}`, options)).text()
const publish = async (channel: string, data: unknown, at = server) => (await (await post(`${at.url}/api/publish/${channel}`, data)).json() as { id: string }).id
const told = async () => await (await fetch(`${server.url}/api/told`)).json() as Record<string, unknown>[]

describe('a ticket', () => {
  it('opens its channel, over either transport, at any position, any number of times until it expires', async () => {
    await publish('mine', 1)
    const id = await publish('mine', 2)
    await publish('mine', 3)
    const ticket = await ticketFor('mine')
    await using reader = await SSEReader.open(`${server.url}/api/ticket/mine?ticket=${ticket}`)
    await reader.until(({ data }) => data.length === 3)
    await using back = await SSEReader.open(`${server.url}/api/ticket/mine?ticket=${ticket}`, { headers: { 'last-event-id': id } })
    await back.until(({ data }) => data.length === 1)
    expect(back.data).toEqual([3])
    const batch = await (await fetch(`${server.url}/api/ticket/mine?transport=poll&position=${id}&ticket=${ticket}`)).json()
    expect(batch.messages.map(({ data }: { data: number }) => data)).toEqual([3])
  })

  it('carries its data, on a route of any kind', async () => {
    const ticket = await ticketFor('mine', { expiresInMs: 5_000, claims: { user: 'ann' } })
    const said = await (await fetch(`${server.url}/api/ticket?ticket=${ticket}`)).json()
    expect(said).toEqual({ channel: 'mine', claims: { user: 'ann' }, expiresAt: expect.any(Number) })
    expect(said.expiresAt - Date.now()).toBeGreaterThan(0)
    expect(said.expiresAt - Date.now()).toBeLessThanOrEqual(5_000)
  })

  it('keeps an open stream when it has expired, and opens no other', async () => {
    const ticket = await ticketFor('short', { expiresInMs: 1_500 })
    await using reader = await SSEReader.open(`${server.url}/api/ticket/short?ticket=${ticket}`)
    await reader.until(({ controls }) => controls.length === 1)
    await eventually(async () => expect((await fetch(`${server.url}/api/ticket?ticket=${ticket}`)).status).toBe(401))
    await publish('short', 'late')
    await reader.until(({ data }) => data.length === 1)
    const refused = await fetch(`${server.url}/api/ticket/short?ticket=${ticket}`)
    expect([refused.status, (await refused.json()).data]).toEqual([401, { code: 'TICKET_EXPIRED' }])
  })

  it('is a fresh one at every attempt of our client, over either transport, where the query is a function', async () => {
    // The server sends a reconnect after two seconds and a half, when the ticket has expired.
    const leaving = await startBuiltServer('basic', { env: { NUXT_SSE_TICKET_SECRET: secret, NUXT_SSE_MAX_LIFETIME_MS: '2500', NUXT_SSE_POLL_WAIT_MS: '200' } })
    for (const transport of ['stream', 'poll'] as const) {
      const tickets = new Set<string>()
      const query = async () => {
        const ticket = await ticketFor(transport, { expiresInMs: 2_000, claims: { nth: tickets.size } }, leaving)
        tickets.add(ticket)
        return { ticket }
      }
      const read: unknown[] = []
      const source = openSSE<number>(`${leaving.url}/api/ticket/${transport}`, { query, transports: [transport], reconnect: { minDelayMs: 10 } })
      const done = (async () => {
        for await (const { data } of source) read.push(data)
      })()
      const sent: number[] = []
      while (tickets.size < 3) {
        await publish(transport, sent.push(sent.length) - 1, leaving)
        await eventually(() => expect(read).toEqual(sent))
      }
      expect(source.gap).toBeUndefined()
      source.close()
      await done
    }
  })

  it('outlives a change of the secret', async () => {
    const before = await ticketFor('c')
    const after = await ticketFor('c', {}, changing)
    expect((await fetch(`${changing.url}/api/ticket?ticket=${before}`)).status).toBe(200)
    expect((await fetch(`${changing.url}/api/ticket?ticket=${after}`)).status).toBe(200)
    expect((await fetch(`${server.url}/api/ticket?ticket=${after}`)).status).toBe(401)
  })
})

describe('an unauthorized client', () => {
  it('gets nothing: without a ticket, with a wrong one, with one for another channel; nor with the position of another client', async () => {
    const id = await publish('secret', 'for nobody else')
    await publish('secret', 'nor that')
    const theirs = await ticketFor('theirs')
    const mine = await ticketFor('secret')
    const forged = `${mine.slice(0, -8)}AAAAAAAA`
    // The claims of one ticket under the signature of the other.
    const mixed = [...mine.split('.').slice(0, 2), theirs.split('.')[2]].join('.')
    for (const [query, status, code] of [['', 401, 'TICKET_MISSING'], ['ticket=', 401, 'TICKET_MISSING'], [`ticket=${forged}`, 401, 'TICKET_INVALID'], [`ticket=${mixed}`, 401, 'TICKET_INVALID'], [`ticket=${mine}&ticket=${mine}`, 401, 'TICKET_INVALID'], [`ticket=${theirs}`, 403, 'TICKET_OTHER_CHANNEL']] as const) {
      for (const position of ['', `&position=${id}`, '&position=0', '&transport=poll&waitMs=0', `&transport=poll&waitMs=0&position=${id}`]) {
        const answer = await fetch(`${server.url}/api/ticket/secret?${query}${position}`, { headers: { 'last-event-id': id } })
        const text = await answer.text()
        expect([answer.status, JSON.parse(text).data, answer.headers.get('content-type')]).toEqual([status, { code }, 'application/json'])
        expect(text).not.toMatch(/for nobody else|nor that|eyJ/)
      }
    }
    // A missing name in a handler does not match every name.
    expect((await fetch(`${server.url}/api/ticket?mistaken&ticket=${mine}`)).status).toBe(403)
    // On a channel of their own the position is unknown.
    await using reader = await SSEReader.open(`${server.url}/api/ticket/theirs?ticket=${theirs}`, { headers: { 'last-event-id': id } })
    await reader.until(({ controls }) => controls.length === 2)
    expect(reader.controls).toMatchObject([{ type: 'open', resumed: false }, { type: 'gap', reason: 'epoch' }])
    expect(reader.data).toEqual([])
  })

  it('gets nothing from a server without a secret, whose error names the fix', async () => {
    const made = await post(`${without.url}/api/ticket/c`, {})
    expect(made.status).toBe(500)
    const asked = await fetch(`${without.url}/api/ticket/c?ticket=${await ticketFor('c')}`)
    expect([asked.status, await asked.json()]).toMatchObject([500, { data: { code: 'TICKET_SECRET_MISSING' }, message: expect.stringContaining('NUXT_SSE_TICKET_SECRET') }])
  })
})

it('a secret that is too short stops the server as it starts, and is not shown', async () => {
  const problem = await startBuiltServer('basic', { env: { NUXT_SSE_TICKET_SECRET: `${secret},short-secret` } }).then(() => '', String)
  expect(problem).toContain('at least 32 characters, got one with 12')
  expect(problem).not.toMatch(/short-secret|s{32}/)
})

describe('a page of another origin, in Chromium', () => {
  it('reads with a native EventSource and a ticket, and with the headers of our client; without a ticket, nothing', async () => {
    await publish('across', 1)
    const ticket = await ticketFor('across', { claims: {} })
    const browser = await launchBrowser()
    try {
      const page = await browser.newPage()
      await page.goto(`http://localhost:${server.port}/api/pid`)
      const read = (url: string) => page.evaluate(to => new Promise((resolve) => {
        const source = new EventSource(to)
        source.onmessage = ({ data }) => {
          source.close()
          resolve(data)
        }
        source.onerror = () => resolve(`refused, ${source.readyState}`)
      }), url)
      expect(await read(`${server.url}/api/ticket/across?ticket=${ticket}`)).toBe('1')
      expect(await read(`${server.url}/api/ticket/across`)).toBe('refused, 2')
      const batch = await page.evaluate(async to => (await fetch(to, { headers: { 'accept': 'application/json', 'authorization': 'Bearer x', 'last-event-id': 'e.1' } })).json(), `${server.url}/api/ticket/across?ticket=${ticket}`)
      expect(batch.messages).toMatchObject([{ data: 1 }])
    }
    finally {
      await browser.close()
    }
  })
})

describe('a ticket never appears', () => {
  it('in hooks, in an answer, or in the server\'s output, whether it was good or not, and when the handler fails after it', async () => {
    await told()
    const ticket = await ticketFor('c')
    const forged = `${ticket.slice(0, -8)}AAAAAAAA`
    const url = `${server.url}/api/ticket/c?a=1&ticket=`
    await (await SSEReader.open(url + ticket)).close()
    const answers = await Promise.all([forged, `${ticket}&throw`].map(async value => (await fetch(url + value)).text()))
    expect(answers.map(text => JSON.parse(text).url)).toEqual([`${server.url}/api/ticket/c?a=1`, `${server.url}/api/ticket/c?a=1&throw`])
    await eventually(() => expect(server.output()).toContain('A bug.'))
    const seen: Record<string, unknown>[] = []
    await eventually(async () => {
      seen.push(...await told())
      expect(seen.map(({ hook }) => hook)).toContain('sse:close')
    })
    expect(seen.find(({ hook }) => hook === 'sse:open')).toMatchObject({ path: '/api/ticket/c?a=1' })
    expect(seen.filter(({ hook }) => hook === 'sse:error')).toMatchObject([{ code: 'TICKET_INVALID', where: 'request' }, { code: 'UNKNOWN', where: 'request' }])
    for (const text of [...answers, JSON.stringify(seen), server.output(), changing.output(), without.output()]) expect(text).not.toContain('eyJ')
    expect(server.output() + changing.output()).not.toMatch(/s{32}|n{32}/)
  })
})

describe('the cost of tickets', () => {
  /** All that a module of the output imports as it is loaded, itself included. */
  async function loadedWith(file: string, seen = new Set<string>()): Promise<Set<string>> {
    if (seen.has(file)) return seen
    seen.add(file)
    const code = await readFile(file, 'utf8')
    for (const [, specifier] of code.matchAll(/(?:^|[\n;}])\s*(?:import|export)\b[^'"();]*['"](\.[^'"]+)['"]/g)) await loadedWith(join(dirname(file), specifier!), seen)
    return seen
  }

  const filesWith = async (text: string, dir: string) => {
    const found: string[] = []
    for await (const file of glob('**/*.{js,mjs}', { cwd: dir })) if ((await readFile(join(dir, file), 'utf8')).includes(text)) found.push(file)
    return found
  }

  it('is nothing at the start: the library is loaded with the first ticket', async () => {
    const output = join(projects.basic, '.output/server')
    const ours = await filesWith('sse-ticket+jwt', output)
    expect(ours).toHaveLength(1)
    const loaded = await loadedWith(join(output, 'index.mjs'))
    const code = (await Promise.all([...loaded].map(file => readFile(file, 'utf8')))).join('')
    // The part that is loaded with the server: our plugin is there.
    expect(code).toContain('NITRO_SHUTDOWN_SIGNALS')
    expect(code).not.toMatch(/from\s*['"]jose/)
    expect(loaded).not.toContain(join(output, ours[0]!))
  })

  it('is nothing in a browser, and nothing on a server that has no tickets', async () => {
    for (const text of ['sse-ticket', 'HS256']) expect(await filesWith(text, join(projects.basic, '.output/public'))).toEqual([])
    const output = join(projects.ssr, '.output/server')
    expect(existsSync(join(output, 'index.mjs'))).toBe(true)
    expect(existsSync(join(output, 'node_modules/jose'))).toBe(false)
    expect(await filesWith('sse-ticket', output)).toEqual([])
  })
})

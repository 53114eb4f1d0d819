import { createError, getQuery, getRequestHeader } from 'h3'
import { beforeEach, describe, expect, it } from 'vitest'
import { SSEReader } from '../../support/read-sse'
import { useSSEServer } from '../../support/sse-server'

const server = useSSEServer({ retryMs: 100 })
let allowed: Set<string>
beforeEach(() => {
  allowed = new Set(['ann', 'bob'])
  server.route('/notices/:user', (event) => {
    const user = getRequestHeader(event, 'authorization') ?? String(getQuery(event).user)
    if (!allowed.has(user)) throw createError({ statusCode: 401, message: 'Sign in.' })
    return server.channel(`notices:${user}`)
  })
})

const as = (user: string, id?: string) => ({ headers: { authorization: user, ...id && { 'last-event-id': id } } })

// @guarantee replay-access
describe('the handler\'s own checks', () => {
  it('run again on every reconnect: a right that has lapsed shows nothing more, over either transport', async () => {
    const id = await server.channel('notices:ann').publish('first')
    await using reader = await SSEReader.open(`${server.url}/notices/ann`, as('ann'))
    await reader.until(r => r.data.length === 1)
    await reader.close()
    await server.channel('notices:ann').publish('second')
    allowed.delete('ann')
    for (const query of ['', '?transport=poll&waitMs=0', `?position=${id}`]) {
      const refused = await fetch(`${server.url}/notices/ann${query}`, as('ann', id))
      expect(refused.status).toBe(401)
      expect(await refused.text()).not.toContain('second')
    }
    const head = await fetch(`${server.url}/notices/ann`, { ...as('ann', id), method: 'HEAD' })
    expect(head.status).toBe(401)
  })

  // @guarantee replay-access
  it('decide what is read: a position of another user opens none of that user\'s data', async () => {
    const stolen = await server.channel('notices:ann').publish('for ann only')
    await server.channel('notices:ann').publish('that too')
    await server.channel('notices:bob').publish('for bob')
    await using reader = await SSEReader.open(`${server.url}/notices/bob`, as('bob', stolen))
    await reader.until(r => r.data.length === 1)
    expect(reader.data).toEqual(['for bob'])
    expect(reader.controls.map(({ type, reason }) => [type, reason])).toEqual([['open', undefined], ['gap', 'epoch']])
    const batch = await (await fetch(`${server.url}/notices/bob?transport=poll&waitMs=0&position=${stolen}`, as('bob'))).json()
    expect(batch.messages.map(({ data }: { data: string }) => data)).toEqual(['for bob'])
  })
})

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { eventually } from '../../support/conditions'
import { SSEReader } from '../../support/read-sse'
import { useSSEServer } from '../../support/sse-server'

const server = useSSEServer({}, { report: 'to the console' })
let said: unknown[][]

beforeEach(() => {
  said = []
  vi.spyOn(console, 'error').mockImplementation((...args) => void said.push(args))
})
afterEach(() => vi.restoreAllMocks())

const failing = async function* () {
  yield 1
  throw new Error('The database is away')
}

describe('the log', () => {
  it('names the route of a source that failed, without the values in its path or in its query', async () => {
    server.route('/jobs/:id', failing)
    await (await SSEReader.open(`${server.url}/jobs/42?token=secret`)).finished
    expect(said).toEqual([['[nuxt-sse]', 'GET /jobs/:id:', expect.objectContaining({ message: 'The database is away' })]])
  })

  it('names the channel of a producer that failed', async () => {
    await server.channel('job:42').run(failing)
    await eventually(() => expect(said).toEqual([['[nuxt-sse]', 'channel job:42:', expect.objectContaining({ message: 'The database is away' })]]))
  })

  it('does not name the channel of a resumable run: its name is the key to it', async () => {
    server.route('/answer', failing, { resumable: true })
    await (await SSEReader.open(`${server.url}/answer`)).finished
    await eventually(() => expect(said).toEqual([['[nuxt-sse]', 'a resumable run:', expect.objectContaining({ message: 'The database is away' })]]))
  })

  it('names the origin of an error, also of our own', async () => {
    server.route('/object', () => ({ hello: 'world' }))
    await (await fetch(`${server.url}/object`)).text()
    expect(said).toEqual([['[nuxt-sse]', 'GET /object:', expect.objectContaining({ code: 'INVALID_SOURCE', message: expect.stringMatching(/^Expected the handler to return .+ `yield` /) })]])
  })
})

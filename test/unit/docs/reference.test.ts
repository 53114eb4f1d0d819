import { glob } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { resolveOptions } from '../../../src/build/options'
import { resolveClientOptions } from '../../support/client-options'
import { PRODUCER_LOST } from '../../../src/runtime/server/drivers/errors'
import { DEFAULT_HANDLER_OPTIONS } from '../../../src/runtime/server/options'
import { publicError } from '../../../src/runtime/server/wire/public-error'
import { SSEError } from '../../../src/runtime/shared/errors'
import { SERVER_IMPORTS } from '../../../src/build/server-parts'
import { literalsOf, membersOf, textsOf } from '../../support/declarations'
import { codesIn, readPage, readTable } from '../../support/markdown'
import { rootDir } from '../../support/projects'

/** Compares the reference with the source: the names of both must be equal. */

const HANDLER_OPTIONS = 'src/runtime/server/options.ts'
const MODULE_OPTIONS = 'src/build/options.ts'
const CLIENT_TYPES = 'src/runtime/client/types.ts'
const USE_SSE = 'src/runtime/app/call.ts'
const CHAT_HANDLER = 'src/runtime/server/ai/define-sse-chat-handler.ts'
const CHAT_TRANSPORT = 'src/runtime/ai/sse-chat-transport.ts'

/** Names in the first cells, of which a cell may have several, without the parameters of functions. */
async function namesIn(page: string, heading: string): Promise<string[]> {
  const rows = readTable(await readPage(page), heading)
  return rows.flatMap(([first]) => codesIn(first!).map(name => name.replace(/\(.*$/, '')))
}

/** Names and defaults of the rows with a value. */
async function defaultsIn(page: string, heading: string, column = 1): Promise<Record<string, unknown>> {
  const rows = readTable(await readPage(page), heading)
  return Object.fromEntries(rows.flatMap((cells) => {
    const value = /^`([^`]+)`$/.exec(cells[column]!)?.[1]
    // The page writes it as JavaScript, as in a configuration.
    return value === undefined ? [] : [[codesIn(cells[0]!)[0]!, new Function(`return (${value})`)() as unknown]]
  }))
}

const sorted = (names: Iterable<string>) => [...new Set(names)].sort()

describe('reference/options.md', () => {
  const page = 'docs/reference/options.md'
  const shared = 'Of handlers, and under `sse` for all of them'

  it('has every option of handlers and of the module, each once', async () => {
    const common = await namesIn(page, shared)
    const moduleOnly = await namesIn(page, 'Only under `sse`')
    expect([...common, ...moduleOnly].sort()).toEqual(membersOf(HANDLER_OPTIONS, 'SSEHandlerOptions').sort())
    expect((await namesIn(page, 'Only of a handler')).sort()).toEqual(membersOf(HANDLER_OPTIONS, 'SSEOwnHandlerOptions').sort())
    const keeps = await namesIn(page, 'What keeps channels')
    expect(sorted(['driver', ...membersOf(MODULE_OPTIONS, 'RedisOptions').map(name => `redis.${name}`)])).toEqual(sorted(keeps))
    const tickets = await namesIn(page, 'Tickets')
    const routes = await namesIn(page, 'Routes of the module')
    expect(sorted([...keeps, ...tickets, ...routes].map(name => name.split('.')[0]!))).toEqual(membersOf(MODULE_OPTIONS, 'ModuleOptions').sort())
  })

  it('limits an option to the module if its comment does', async () => {
    const source = await readPage(HANDLER_OPTIONS)
    const only = membersOf(HANDLER_OPTIONS, 'SSEHandlerOptions').filter(name => new RegExp(`on a handler it has no effect(?:(?!\\*/).)*\\*/\\s*${name}\\?`, 's').test(source))
    expect(sorted(only)).toEqual(sorted(await namesIn(page, 'Only under `sse`')))
  })

  it('has their defaults', async () => {
    expect({ ...await defaultsIn(page, shared), ...await defaultsIn(page, 'Only under `sse`') }).toEqual(DEFAULT_HANDLER_OPTIONS)
    const { redis } = resolveOptions()
    const said = await defaultsIn(page, 'What keeps channels', 2)
    expect(said).toEqual(Object.fromEntries(Object.entries(redis).filter(([, value]) => value !== '').map(([name, value]) => [`redis.${name}`, value])))
  })

  it('has the names in the environment', async () => {
    const text = await readPage(page)
    for (const [option, variable] of [...readTable(text, 'What keeps channels'), ...readTable(text, 'Tickets')]) {
      const name = codesIn(option!)[0]!.replaceAll(/[A-Z]/g, '_$&').replace('.', '_').toUpperCase()
      expect(codesIn(variable!)).toEqual([`NUXT_SSE_${name}`])
    }
  })
})

describe('reference/client.md', () => {
  const page = 'docs/reference/client.md'

  it('has every option of useSSE and openSSE, and what useSSE returns', async () => {
    const client = membersOf(CLIENT_TYPES, 'SSEClientOptions').filter(name => name !== 'reconnect')
    const reconnect = membersOf(CLIENT_TYPES, 'SSEReconnectOptions').map(name => `reconnect.${name}`)
    expect(sorted(await namesIn(page, '`openSSE(url, options?)`'))).toEqual(sorted([...client, ...reconnect]))
    const own = membersOf(USE_SSE, 'UseSSEOptions').filter(name => name !== 'method')
    expect(sorted(await namesIn(page, '`useSSE(url, options?)`'))).toEqual(sorted([...membersOf(USE_SSE, 'UseSSEReturn'), ...own]))
  })

  it('has their defaults', async () => {
    const { method, transports, connectTimeoutMs, reconnect } = resolveClientOptions()
    expect(await defaultsIn(page, '`openSSE(url, options?)`')).toEqual({
      method, transports, connectTimeoutMs, 'pauseWhenHidden': false,
      'reconnect.minDelayMs': reconnect.minDelayMs, 'reconnect.maxDelayMs': reconnect.maxDelayMs, 'reconnect.maxAttempts': reconnect.maxAttempts,
    })
  })

  it('has every status and transport, and what openSSE returns', async () => {
    const text = await readPage(page)
    const status = readTable(text, '`useSSE(url, options?)`').find(([name]) => name === '`status`')![1]!
    expect(sorted(codesIn(status))).toEqual(sorted(literalsOf(CLIENT_TYPES, 'SSEStatus')))
    for (const name of membersOf('src/runtime/client/open-sse.ts', 'SSESource')) expect(text.slice(text.indexOf('## `openSSE')), name).toMatch(new RegExp(`\`${name}(?:\\(\\))?\``))
  })
})

describe('reference/server.md', () => {
  const page = 'docs/reference/server.md'

  it('has every auto-imported function of `server/`', async () => {
    const imported = SERVER_IMPORTS.map(([name]) => name)
    // The first table only: the following ones describe the results of these functions.
    const named = readTable((await readPage(page)).split('\n## ')[0]!, 'Server API').map(([first]) => codesIn(first!)[0]!)
    expect(sorted(named)).toEqual(sorted(imported))
  })

  it('has every part of a channel and of a connection', async () => {
    const channel = await namesIn(page, '`useSSEChannel(name, { retention? })`')
    expect(sorted(channel)).toEqual(sorted(membersOf('src/runtime/server/channel/types.ts', 'SSEChannel')))
    const connection = await namesIn(page, 'The connection')
    expect(sorted(connection)).toEqual(sorted(membersOf('src/runtime/server/connection/types.ts', 'SSEConnection')))
    const info = readTable(await readPage(page), '`useSSEChannel(name, { retention? })`').find(([name]) => name === '`info()`')![1]!
    expect(sorted(codesIn(info).map(name => name.replace('?', '')))).toEqual(sorted(membersOf('src/runtime/server/channel/types.ts', 'SSEChannelInfo')))
  })
})

describe('nuxt-sse/ai, in reference/server.md and client.md', () => {
  it('has every field of a chat and every option of the handler', async () => {
    const page = 'docs/reference/server.md'
    const section = (await readPage(page)).split('## `defineSSEChatHandler(answer, options?)`')[1]!
    const fields = (await namesIn(page, '`defineSSEChatHandler(answer, options?)`')).filter(name => /^[a-z]\w*$/i.test(name))
    expect(sorted(fields.filter(name => membersOf(CHAT_HANDLER, 'SSEChat').includes(name)))).toEqual(sorted(membersOf(CHAT_HANDLER, 'SSEChat')))
    for (const name of membersOf(CHAT_HANDLER, 'SSEChatHandlerOptions')) expect(section).toContain(`\`${name}\``)
  })

  it('has every option of the transport', async () => {
    expect(sorted(await namesIn('docs/reference/client.md', '`SSEChatTransport`'))).toEqual(sorted(membersOf(CHAT_TRANSPORT, 'SSEChatTransportOptions')))
    const { api } = await defaultsIn('docs/reference/client.md', '`SSEChatTransport`')
    expect(await readPage(CHAT_TRANSPORT)).toContain(`api: '${api as string}'`)
  })

  it('has every name that the entry exports', async () => {
    const text = await readPage('docs/reference/server.md') + await readPage('docs/reference/client.md')
    const names = (await Promise.all(['index', 'server-entry'].map(file => readPage(`src/runtime/ai/${file}.ts`)))).flatMap(source => [...source.matchAll(/^export \{ ([^}]+) \}/gm)].flatMap(([, list]) => list!.split(', ')))
    expect(sorted(names)).toEqual(['SSEChatTransport', 'defineSSEChatHandler'])
    for (const name of names) expect(text).toContain(name)
  })
})

describe('reference/errors.md', () => {
  const CODE = /^[A-Z]+(?:_[A-Z]+)*$/

  // @guarantee loud
  it('has every code of the source, and no other', async () => {
    const named = literalsOf('src/runtime/shared/errors.ts', 'SSEErrorCode').filter(text => CODE.test(text))
    expect(named.length).toBeGreaterThan(30)
    const server = await namesIn('docs/reference/errors.md', 'Of the server')
    const client = await namesIn('docs/reference/errors.md', 'Of a client')
    const test = await namesIn('docs/reference/errors.md', 'Of `nuxt-sse/test`')
    expect(sorted([...server, ...client, ...test])).toEqual(sorted(named))
  })

  it('names every code that the source throws', async () => {
    const named = literalsOf('src/runtime/shared/errors.ts', 'SSEErrorCode')
    const thrown: string[] = []
    for await (const file of glob('src/**/*.ts', { cwd: rootDir })) {
      const source = await readPage(file)
      for (const [, code] of source.matchAll(/(?:SSEError|clientError|retryableError)\(\s*'([^']+)'/g)) thrown.push(code!)
    }
    expect(thrown.length).toBeGreaterThan(30)
    expect(sorted(thrown).filter(code => !named.includes(code))).toEqual([])
  })

  it('has the status and the retry of each server code, as in the source', async () => {
    const rows = readTable(await readPage('docs/reference/errors.md'), 'Of the server')
    const said = new Map(rows.flatMap(([codes, status, retried]) => codesIn(codes!).map(code => [code, { statuses: status!.split(', ').map(Number), retried }] as const)))
    const seen = new Set<string>()
    for await (const file of glob('src/runtime/{server,shared}/**/*.ts', { cwd: rootDir })) {
      for (const [, code, options] of (await readPage(file)).matchAll(/new SSEError\('([A-Z_]+)',([^\n]*)/g)) {
        const statusCode = Number(/statusCode: (\d+)/.exec(options!)?.[1] ?? 500)
        const retry = /retry: (true|false)/.exec(options!)?.[1]
        const error = new SSEError(code!, '', { statusCode, ...retry && { retry: retry === 'true' } })
        seen.add(code!)
        // For these, the channel's option decides.
        if (code === 'PRODUCER_LOST') continue
        expect(said.get(code!), `${code} in ${file}`).toEqual({ statuses: expect.arrayContaining([error.statusCode]), retried: error.retry ? 'yes' : 'no' })
      }
    }
    expect([...said.keys()].filter(code => !seen.has(code)).sort()).toEqual(['SOURCE_FAILED'])
    expect(publicError(new Error('x'))).toMatchObject({ code: 'SOURCE_FAILED', statusCode: said.get('SOURCE_FAILED')!.statuses[0], retry: said.get('SOURCE_FAILED')!.retried === 'yes' })
    for (const onLost of ['fail', 'restart'] as const) expect(PRODUCER_LOST[onLost].retry).toBe(onLost === 'restart')
  })

  it('names only codes in use', async () => {
    const used = new Set<string>()
    for await (const file of glob('src/**/*.ts', { cwd: rootDir })) {
      if (file.endsWith('shared/errors.ts')) continue
      for (const text of textsOf(file)) used.add(text)
    }
    const named = literalsOf('src/runtime/shared/errors.ts', 'SSEErrorCode').filter(text => CODE.test(text) && text !== 'INVALID_OPTION')
    expect(named.filter(code => !used.has(code))).toEqual([])
  })

  it('has every field of an error', async () => {
    const parts = [...membersOf('src/runtime/shared/errors.ts', 'SSEErrorOptions'), 'code', 'message']
    expect(sorted(await namesIn('docs/reference/errors.md', 'The parts of an `SSEError`'))).toEqual(sorted(parts))
  })
})

describe('operate/monitoring.md', () => {
  const page = 'docs/operate/monitoring.md'

  it('has every hook, and every place of an error', async () => {
    const hooks = (await namesIn(page, 'Hooks')).filter(name => name.startsWith('sse:'))
    expect(sorted(hooks)).toEqual(sorted(membersOf('src/runtime/server/insight/hooks.ts', 'SSEHooks')))
    const places = readTable(await readPage(page), 'Hooks').map(([first]) => codesIn(first!)[0]!).filter(name => !name.startsWith('sse:') && name !== 'where')
    expect(sorted(places)).toEqual(sorted(literalsOf('src/runtime/server/insight/hooks.ts', 'SSEErrorPlace')))
  })

  it('has every number', async () => {
    expect(sorted(await namesIn(page, '`useSSEStats()`'))).toEqual(sorted(membersOf('src/runtime/server/context/stats.ts', 'SSEStats')))
  })
})

describe('reference/protocol.md', () => {
  const PROTOCOL = 'src/runtime/shared/protocol.ts'
  const CONTROLS = { open: 'SSEOpenControl', gap: 'SSEGapControl', end: 'SSEEndControl', error: 'SSEErrorControl', leave: 'SSELeaveControl', heartbeat: 'SSEHeartbeatControl' }

  it('has every control message with its fields, and every reason of a gap', async () => {
    const text = await readPage('docs/reference/protocol.md')
    const rows = readTable(text, 'Event stream')
    const controls = (await readPage(PROTOCOL)).match(/^ {2}type: '(\w+)'$/gm)!.map(line => /'(\w+)'/.exec(line)![1]!).filter(type => !['batch', 'page', 'pending'].includes(type))
    expect(sorted(rows.map(([type]) => codesIn(type!)[0]!))).toEqual(sorted(controls))
    for (const [type, fields] of rows) {
      const name = codesIn(type!)[0] as keyof typeof CONTROLS
      const inherited = name === 'error' ? membersOf('src/runtime/shared/errors.ts', 'SSEPublicError') : name === 'gap' ? membersOf(PROTOCOL, 'SSEGap') : []
      const members = [...inherited, ...membersOf(PROTOCOL, CONTROLS[name])].filter(member => member !== 'type')
      expect(sorted(codesIn(fields!).map(field => field.replace('?', ''))), name).toEqual(sorted(members))
    }
    const reasons = readTable(text, 'Position').map(([first]) => codesIn(first!)[0]).filter(name => ['trimmed', 'epoch', 'invalid'].includes(name!))
    expect(sorted(reasons as string[])).toEqual(sorted(literalsOf(PROTOCOL, 'SSEGapReason')))
  })
})

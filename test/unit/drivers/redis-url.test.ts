import fc from 'fast-check'
import { parseURL } from 'ioredis/built/utils/index.js'
import { describe, expect, it } from 'vitest'
import { parseRedisUrls } from '../../../src/runtime/server/drivers/redis/connection/url'

const read = (text: string) => parseRedisUrls(text, 6_379)

/** Options that `Redis` of ioredis takes from a url. */
function asIoredis(url: string) {
  const { host, port, db, family, username, password } = parseURL(url) as Record<string, string>
  return { nodes: [{ host, port: Number(port ?? 6_379) }], db: Number.parseInt(db ?? '0'), username: username || undefined, password: password || undefined, family, tls: url.startsWith('rediss://') }
}

describe('Redis urls', () => {
  it.each([
    'redis://h', 'rediss://h', 'redis://h:7000', 'redis://h/3', 'redis://h/', 'redis://h?db=5', 'redis://h/?db=5', 'redis://host:6379?db=5',
    'rediss://u:p@h:1/15', 'redis://:p@h', 'redis://u@h', 'redis://us%40er:p%3Aw%2Fd%3F@h/2', 'redis://h?family=6', 'redis://h/1?family=4', 'redis://h?db=0&family=0', 'redis://[::1]:7000/2', 'redis://127.0.0.1',
  ])('%s is honoured as ioredis does', (url) => {
    expect(read(url)).toEqual(asIoredis(url))
  })

  it.each([
    'redis://h?DB=5', 'redis://h?database=5', 'redis://h?dB=1', 'redis://h?db=five', 'redis://h?db=', 'redis://h?db=-1', 'redis://h?db=1.5', 'redis://h?db=1e1', 'redis://h?db= 1', 'redis://h?db=0x1',
    'redis://h?db=99999999999', 'redis://h/99999999999', 'redis://h/-1', 'redis://h/1.5', 'redis://h/1/2', 'redis://h/five', 'redis://h//', 'redis://h/1?db=1', 'redis://h/1?db=2', 'redis://h?db=1&db=2', 'redis://h?family=5', 'redis://h?family=IPv6',
    'redis://h?password=hush', 'redis://h?username=u', 'redis://h?tls=true', 'redis://h?ssl=true', 'redis://h?keyPrefix=x', 'redis://h#1', 'redis://', 'redis:h', '/tmp/redis.sock', '//h', 'h', 'h:6379', '6379', 'http://h', 'redis://h:port', 'redis://h:70000',
    'redis://:100%@h', 'redis://a/1,redis://b/2', 'redis://a?db=1,redis://b/2', 'redis://u:p@a,redis://u:q@b', 'redis://a,redis://u:q@b', 'redis://a,rediss://b', 'redis://a,', ',',
  ])('%s is refused', (url) => {
    expect(() => read(url)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining('redis.url') }))
  })

  it('several nodes share the settings of the first, unless another differs', () => {
    expect(read('rediss://u:p@a:1/2?family=6, rediss://b,rediss://u:p@c/2')).toEqual({ nodes: [{ host: 'a', port: 1 }, { host: 'b', port: 6_379 }, { host: 'c', port: 6_379 }], username: 'u', password: 'p', db: 2, family: 6, tls: true })
  })

  it('any url is honoured as ioredis does, or refused, without its password in the error', () => {
    const SECRET = 'hush'
    const part = fc.constantFrom('', ':', '@', '/', '?', '#', ',', '%', '&', '=', 'db', '5', 'x')
    const secret = fc.tuple(part, part).map(([before, after]) => `${before}${SECRET}${after}`)
    const credentials = fc.oneof(fc.constant(''), secret.map(text => `u:${encodeURIComponent(text)}@`), secret.map(text => `u:${text}@`), secret.map(text => `:${text}@`))
    const path = fc.constantFrom('', '/', '/3', '/x', '/1/2', '/-1')
    const query = fc.array(fc.tuple(fc.constantFrom('db', 'family', 'password', 'Db'), fc.constantFrom('', '4', '6', 'x', SECRET)), { maxLength: 2 })
      .map(list => list.length ? `?${list.map(([name, value]) => `${name}=${value}`).join('&')}` : '')
    const url = fc.tuple(fc.constantFrom('redis://', 'rediss://', 'http://', ''), credentials, fc.constantFrom('h', 'h:1', '[::1]:2', ''), path, query).map(parts => parts.join(''))
    fc.assert(fc.property(fc.array(url, { minLength: 1, maxLength: 2 }), (urls) => {
      const text = urls.join()
      let result: ReturnType<typeof read>
      try {
        result = read(text)
      }
      catch (error) {
        expect(error).toMatchObject({ code: 'INVALID_OPTION' })
        // A parameter called `db` or `family` contains no password.
        if (!/(?:db|family)=hush/.test(text)) expect((error as Error).message).not.toContain(SECRET)
        return
      }
      if (result.nodes.length === 1) expect(result).toEqual(asIoredis(text))
    }), { numRuns: 2_000 })
  })
})

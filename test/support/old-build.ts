import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'

const KEYS = { append: 4, finish: 3, lease: 3, read: 3, remove: 3 }

/** Runs one of the recorded scripts, with the deadline and then the arguments of that build. */
function run(redis: Redis, name: keyof typeof KEYS, channel: string, args: (string | number)[]): Promise<string[]> {
  const keys = ['log', 'meta', 'keys', 'w:old'].slice(0, KEYS[name]).map(part => `sse:{${channel}}:${part}`)
  const lua = readFileSync(new URL(`../fixtures/redis-scripts/${name}.lua`, import.meta.url), 'utf8')
  return redis.eval(lua, keys.length, ...keys, `sse:{${channel}}:live`, 'PUBLISH', Number.MAX_SAFE_INTEGER, ...args) as Promise<string[]>
}

/**
 * Recorded Redis scripts of the build before `maxBytes`. A server of that build works on the same Redis during a rolling
 * deploy.
 */
export function oldBuild(redis: Redis) {
  let number = 0
  let epochs = 0
  const epoch = () => `old${++epochs}`
  return {
    async append(channel: string, data: string[], { maxMessages = 1_000, maxAgeMs = 3_600_000, event = '', token = '' } = {}) {
      const args = event ? data.flatMap(text => [text, event, '']) : data
      const [, refused, at, last] = await run(redis, 'append', channel, [epoch(), maxMessages, maxAgeMs, ++number, 10_000, 1, '', 0, '', token, event ? 3 : 1, ...args])
      return { refused, epoch: at!, last: Number(last) }
    },
    async read(channel: string, after = 0) {
      const [at, first, last, , closing, lease, , ...rest] = await run(redis, 'read', channel, [epoch(), 3_600_000, after, 100_000, 100_000_000, '', ''])
      const messages: { offset: number, event: string, data: string }[] = []
      for (let index = 0; index < rest.length; index += 3) {
        const [id, field, data] = rest.slice(index, index + 3) as [string, string, string]
        const isOne = field.startsWith('d')
        const lines = isOne ? [data] : data.split('\n')
        const end = Number.parseInt(id)
        lines.forEach((line, n) => messages.push({ offset: end - lines.length + 1 + n, event: isOne ? field.slice(1) : '', data: line }))
      }
      return { epoch: at!, first: Number(first), last: Number(last), closing: closing ? JSON.parse(closing) : null, lease, messages: messages.filter(({ offset }) => offset > after && offset >= Number(first)) }
    },
    finish: (channel: string, closing: object = {}) => run(redis, 'finish', channel, [epoch(), 3_600_000, JSON.stringify(closing), 'closer', '']),
    lease: (channel: string, type: 'acquire' | 'renew' | 'look' | 'release', token: string, leaseMs = 10_000) => run(redis, 'lease', channel, [epoch(), 3_600_000, type, token, leaseMs, 'fail', 0]),
    remove: (channel: string) => run(redis, 'remove', channel, [epoch()]),
  }
}

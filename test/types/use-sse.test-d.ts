import { describe, expectTypeOf, it } from 'vitest'
import type { SSESnapshot, SSEStream, SSEMessage } from '../../src/runtime/shared/types'
import { defineEventHandler, getQuery } from 'h3'
import { ref } from 'vue'
import type { Serialize, Simplify } from 'nitropack/types'
import type { SSEStatic } from '../../src/runtime/client'
import { defineSSEHandler, useSSEChannel, useSSEChannels, useSSEPresence } from '../../src/runtime/server/api'
import { reduceSSEPresence } from '../../src/runtime/app/reduce-sse-presence'
import { useSSE } from '../../src/runtime/app/composables/use-sse'

interface Token { text: string }
interface Usage { words: number }

interface Todo { title: string, done: boolean }
interface Task { id: number, title: string }

interface Post { title: string }

const _several = defineSSEHandler(() => useSSEChannels({ feed: useSSEChannel<Post>('feed'), jobs: useSSEChannel<string>('jobs') }))

const live = defineSSEHandler(async function* () {
  yield { added: 'Milk' }
})
declare const todos: () => Promise<Todo[]>
/** One route, live or static. */
const _liveOrStatic = defineEventHandler(event => getQuery(event).live ? live(event) : todos())

const _room = defineSSEHandler(() => useSSEPresence('room', { id: 'ann', data: { name: 'Ann' } }))

/** Route types in the form that Nitro writes: serialized, without the extended types and without `undefined`. */
declare module 'nitropack/types' {
  interface InternalApi {
    '/api/chat': { get: { history: string[] }, post: { __sse: { id?: string, data: Token } | { id?: string, event: 'usage', data: Usage } } }
    '/api/both': { get: { __sse: { id?: string, data: Token } }, post: { __sse: { id?: string, event: 'usage', data: Usage } | { id?: string, event: 'step' | 'stage', data: { percent: number } } }, default: { __sse: { data: boolean } } }
    '/api/jobs/:id/stream': { get: { __sse: { id?: string, event?: string, data: { percent: number } } } }
    '/api/todos': { get: Simplify<Serialize<Awaited<ReturnType<typeof _liveOrStatic>>>> }
    '/api/jobs/:id': { get: { state: string } }
    '/files/**:path': { get: { __sse: { data: { line: string } } } }
    '/api/tasks': { get: Simplify<Serialize<SSESnapshot<Task[]>>> }
    '/api/tasks/stream': { get: { __sse: { id?: string, data: { id: number, task?: Task } } } }
    '/api/room': { get: Simplify<Serialize<Awaited<ReturnType<typeof _room>>>> }
    '/api/live-many': { get: { __sse: { id?: string, channel: 'feed', data: Post } | { id?: string, channel: 'jobs', event: 'progress', data: { percent: number } } | { id?: string, channel: 'jobs', data: string } } }
    '/api/live-real': { get: Simplify<Serialize<Awaited<ReturnType<typeof _several>>>> }
    '/live': { default: { __sse: { data: number } } }
  }
}

describe('the messages of a route', () => {
  it('come from the route, for every form of its url', () => {
    expectTypeOf(useSSE('/live').data.value).toEqualTypeOf<number | undefined>()
    expectTypeOf(useSSE('/live?x=1').data.value).toEqualTypeOf<number | undefined>()
    expectTypeOf(useSSE('/api/jobs/42/stream').data.value).toEqualTypeOf<{ percent: number } | undefined>()
    const id = '42' as string
    expectTypeOf(useSSE(`/api/jobs/${id}/stream`).data.value).toEqualTypeOf<{ percent: number } | undefined>()
    expectTypeOf(useSSE(() => `/api/jobs/${id}/stream`).data.value).toEqualTypeOf<{ percent: number } | undefined>()
    expectTypeOf(useSSE(() => `/api/jobs/${id}/stream`, { keep: 3 }).data.value).toEqualTypeOf<{ percent: number } | undefined>()
    expectTypeOf(useSSE(() => `/api/jobs/${id}/stream` as const).data.value).toEqualTypeOf<{ percent: number } | undefined>()
    expectTypeOf(useSSE(() => '/live').data.value).toEqualTypeOf<number | undefined>()
    expectTypeOf(useSSE(() => id).data.value).toEqualTypeOf<unknown>()
    expectTypeOf(useSSE('/files/a/b.txt').data.value).toEqualTypeOf<{ line: string } | undefined>()
  })

  it('of a presence are its changes, which `reduceSSEPresence` makes a list', () => {
    const { data: people } = useSSE('/api/room', { initial: [], reduce: reduceSSEPresence })
    expectTypeOf(people.value[0]!.id).toEqualTypeOf<string>()
    const { data: named } = useSSE('/api/room', { initial: [], reduce: reduceSSEPresence<{ name: string }> })
    expectTypeOf(named.value[0]!.data!.name).toEqualTypeOf<string>()
    const { data } = useSSE('/api/room')
    if (data.value?.type === 'leave') expectTypeOf(data.value.id).toEqualTypeOf<string>()
    const { data: guests } = useSSE('https://example.com/room', { initial: [], reduce: reduceSSEPresence<{ name: string }> })
    expectTypeOf(guests.value[0]!.data!.name).toEqualTypeOf<string>()
  })

  it('of a live or static route are those of its stream, and a fetch returns either the stream or the data', async () => {
    expectTypeOf(useSSE('/api/todos').data.value).toEqualTypeOf<{ added: string } | undefined>()
    expectTypeOf(useSSE('/api/todos?live=1').data.value).toEqualTypeOf<{ added: string } | undefined>()
    const fetched = await $fetch('/api/todos')
    expectTypeOf<Todo[]>().toExtend<typeof fetched>()
    expectTypeOf<SSEStatic<typeof fetched>>().toEqualTypeOf<Todo[]>()
    expectTypeOf<SSEStatic<ReturnType<typeof _liveOrStatic>>>().toEqualTypeOf<Todo[]>()
    expectTypeOf<SSEStatic<SSEStream | { n: number } | null>>().toEqualTypeOf<{ n: number } | null>()
    // @ts-expect-error The result may be the stream.
    void fetched.length
  })

  it('depend on the method', () => {
    expectTypeOf(useSSE('/api/chat', { method: 'POST', body: {} }).data.value).toEqualTypeOf<Token | Usage | undefined>()
    expectTypeOf(useSSE('/api/chat', { method: 'post', body: {} }).data.value).toEqualTypeOf<Token | Usage | undefined>()
    expectTypeOf(useSSE('/api/both').data.value).toEqualTypeOf<Token | undefined>()
    expectTypeOf(useSSE('/api/both', { method: 'GET' }).data.value).toEqualTypeOf<Token | undefined>()
    expectTypeOf(useSSE('/api/both', { method: 'POST' }).data.value).toEqualTypeOf<Usage | { percent: number } | undefined>()
    // A method without a route of its own uses the route without a method in its name.
    expectTypeOf(useSSE('/api/both', { method: 'PUT' }).data.value).toEqualTypeOf<boolean | undefined>()
  })

  it('are distinguished by their names', () => {
    const { message } = useSSE('/api/chat', { method: 'POST', body: {} })
    if (message.value?.event === 'usage') expectTypeOf(message.value.data).toEqualTypeOf<Usage>()
    else if (message.value) expectTypeOf(message.value.data).toEqualTypeOf<Token>()
    const { message: other } = useSSE('/api/both', { method: 'POST' })
    switch (other.value?.event) {
      case 'usage':
        expectTypeOf(other.value.data).toEqualTypeOf<Usage>()
        break
      case 'step':
      case 'stage':
        expectTypeOf(other.value.data).toEqualTypeOf<{ percent: number }>()
        break
      default:
        expectTypeOf(other.value).toEqualTypeOf<undefined>()
    }
  })

  it('reach callbacks by name', () => {
    const { on } = useSSE('/api/chat', {
      method: 'POST',
      body: {},
      on: {
        'usage': ({ data, event }) => expectTypeOf([data, event] as const).toEqualTypeOf<readonly [Usage, 'usage']>(),
        'message': ({ data }) => expectTypeOf(data).toEqualTypeOf<Token>(),
        '*': ({ data }) => expectTypeOf(data).toEqualTypeOf<Token | Usage>(),
      },
    })
    on('usage', ({ data }) => expectTypeOf(data).toEqualTypeOf<Usage>())
    on('message', ({ data }) => expectTypeOf(data).toEqualTypeOf<Token>())
    on('*', ({ data }) => expectTypeOf(data).toEqualTypeOf<Token | Usage>())
    // @ts-expect-error The route sends no message of that name.
    on('usages', () => {})
    // @ts-expect-error Nor does it in the option.
    useSSE('/api/chat', { method: 'POST', body: {}, on: { usages: () => {} } })
    const { on: onBoth } = useSSE('/api/both', { method: 'POST' })
    onBoth('stage', ({ data }) => expectTypeOf(data).toEqualTypeOf<{ percent: number }>())
    // @ts-expect-error All of its messages have a name.
    onBoth('message', () => {})
  })

  it('reach callbacks of any name if the names are unknown', () => {
    const { on } = useSSE('/api/jobs/42/stream', { on: { whatever: ({ data }) => expectTypeOf(data).toEqualTypeOf<{ percent: number }>() } })
    on('done', ({ data }) => expectTypeOf(data).toEqualTypeOf<{ percent: number }>())
    useSSE<number>('https://example.com', { on: { tick: ({ data }) => expectTypeOf(data).toEqualTypeOf<number>() } }).on('tock', ({ data }) => expectTypeOf(data).toEqualTypeOf<number>())
    useSSE('https://example.com', { on: { tick: ({ data }) => expectTypeOf(data).toEqualTypeOf<unknown>() } })
  })

  it('are unknown without such a route', () => {
    expectTypeOf(useSSE('https://example.com/feed').data.value).toEqualTypeOf<unknown>()
    expectTypeOf(useSSE('/api/jobs/42' as string).data.value).toEqualTypeOf<unknown>()
  })

  it('have the type of a type argument', () => {
    expectTypeOf(useSSE<{ own: true }>('/live').data.value).toEqualTypeOf<{ own: true } | undefined>()
    expectTypeOf(useSSE<string>('/live').data.value).toEqualTypeOf<string | undefined>()
    expectTypeOf(useSSE<string>('https://example.com').message.value).toEqualTypeOf<SSEMessage<string> | undefined>()
    expectTypeOf(useSSE<unknown>('/live').data.value).toEqualTypeOf<unknown>()
    expectTypeOf(useSSE<'a' | 'b'>('/live').data.value).toEqualTypeOf<'a' | 'b' | undefined>()
    // eslint-disable-next-line @typescript-eslint/no-explicit-any
    expectTypeOf(useSSE<any>('/live', { on: { '*': ({ data }) => data.whatever } }).data.value).toBeAny()
    const url = '/live' as string
    expectTypeOf(useSSE<number>(() => url).data.value).toEqualTypeOf<number | undefined>()
  })

  it('reach reduce, whose state has the type of `initial`', () => {
    const { data } = useSSE('/api/jobs/1/stream', {
      initial: [] as number[],
      reduce: (all, message) => {
        expectTypeOf(message.data).toEqualTypeOf<{ percent: number }>()
        return [...all, message.data.percent]
      },
    })
    expectTypeOf(data.value).toEqualTypeOf<number[]>()
    const { data: text } = useSSE('/api/jobs/1/stream', { initial: '', reduce: (text, message) => `${text}${message.data.percent}` })
    expectTypeOf(text.value).toEqualTypeOf<string>()
  })

  it('have the types of `reduce` without a route, and its state is inferred as well', () => {
    const { data, message } = useSSE('https://example.com', { initial: '', reduce: (text, message: SSEMessage<Token>) => text + message.data.text })
    expectTypeOf(data.value).toEqualTypeOf<string>()
    expectTypeOf(message.value).toEqualTypeOf<SSEMessage<Token> | undefined>()
    // Give both type arguments or none: TypeScript does not infer a second one after a first.
    expectTypeOf(useSSE<Token, string>('https://example.com', { initial: '', reduce: (text, { data }) => text + data.text }).data.value).toEqualTypeOf<string>()
    // @ts-expect-error With one type argument, the state is a token or `undefined`.
    useSSE<Token>('https://example.com', { initial: '', reduce: (text, { data }) => text + data.text })
  })
})

declare const stream: SSEStream<SSEMessage<number, 'n'>>
expectTypeOf(stream.__sse.data).toEqualTypeOf<number>()

describe('a url that is set later', () => {
  it('has its types from the argument, or from its later route', () => {
    expectTypeOf(useSSE<{ score: number }>().data.value).toEqualTypeOf<{ score: number } | undefined>()
    expectTypeOf(useSSE<{ score: number }>(null).data.value).toEqualTypeOf<{ score: number } | undefined>()
    expectTypeOf(useSSE().data.value).toEqualTypeOf<unknown>()
    const id = undefined as string | undefined
    expectTypeOf(useSSE<number>(() => id && `/api/x/${id}`, { enabled: () => !!id }).data.value).toEqualTypeOf<number | undefined>()
    expectTypeOf(useSSE(() => id ? `/api/jobs/${id}/stream` as const : null).data.value).toEqualTypeOf<{ percent: number } | undefined>()
  })
})

describe('a state that is loaded', () => {
  it('types `data` and the argument of `reduce`', () => {
    const { data } = useSSE('/api/tasks/stream', {
      load: ({ $fetch, signal }) => {
        expectTypeOf(signal).toEqualTypeOf<AbortSignal>()
        return $fetch('/api/tasks')
      },
      reduce: (tasks, { data: { id, task } }) => {
        expectTypeOf(tasks).toEqualTypeOf<Task[]>()
        expectTypeOf(task).toEqualTypeOf<Task | undefined>()
        const others = tasks.filter(one => one.id !== id)
        return task ? [...others, task] : others
      },
    })
    expectTypeOf(data.value).toEqualTypeOf<Task[]>()
  })

  it('has the type of `initial`, where there is one', () => {
    const { data } = useSSE('/api/tasks/stream', { initial: [], load: ({ $fetch }) => $fetch('/api/tasks'), reduce: tasks => tasks })
    expectTypeOf(data.value).toEqualTypeOf<Task[]>()
    const { data: count } = useSSE<Task, number>('/api/tasks/stream', { initial: 0, load: async () => ({ data: 3, position: 'e1.7' }), reduce: count => count + 1 })
    expectTypeOf(count.value).toEqualTypeOf<number>()
  })

  it('is that of one channel with `channel`', () => {
    const { data } = useSSE('/api/live-many', {
      channel: 'feed',
      initial: [],
      load: async () => ({ data: [] as Post[], position: 'e1.7' }),
      reduce: (posts, { data }) => {
        expectTypeOf(data).toEqualTypeOf<Post>()
        return [...posts, data]
      },
    })
    expectTypeOf(data.value).toEqualTypeOf<Post[]>()
  })

  it('needs a position, and the type of the state', () => {
    // @ts-expect-error without a position
    useSSE<Task, Task[]>('/api/tasks/stream', { load: async () => ({ data: [] }) })
    // @ts-expect-error another state
    useSSE<Task, Task[]>('/api/tasks/stream', { load: async () => ({ data: 5, position: 'e1.7' }) })
  })

  it('snapshot() has the type of what its function returns', () => {
    const channel = useSSEChannel<Task>('tasks')
    expectTypeOf(channel.snapshot(() => [1])).resolves.toEqualTypeOf<SSESnapshot<number[]>>()
    expectTypeOf(useSSEChannels({ channel }).snapshot(async () => 'state')).resolves.toEqualTypeOf<SSESnapshot<string>>()
  })

  it('the position may be a ref or a getter', () => {
    useSSE('/live', { position: ref<string>() })
    useSSE('/live', { position: () => 7 })
    // @ts-expect-error no position
    useSSE('/live', { position: ref(true) })
  })
})

describe('a route of several channels', () => {
  it('`channel` discriminates the union of its messages', () => {
    const { message, data } = useSSE('/api/live-many')
    expectTypeOf(data.value).toEqualTypeOf<Post | { percent: number } | string | undefined>()
    if (message.value?.channel === 'feed') expectTypeOf(message.value.data).toEqualTypeOf<Post>()
    else if (message.value?.event === 'progress') expectTypeOf(message.value.data).toEqualTypeOf<{ percent: number }>()
    else if (message.value) expectTypeOf(message.value.data).toEqualTypeOf<string>()
  })

  it('come from `useSSEChannels`', () => {
    const { message } = useSSE('/api/live-real')
    if (message.value?.channel === 'feed') expectTypeOf(message.value.data).toEqualTypeOf<Post>()
    else if (message.value) expectTypeOf(message.value.data).toEqualTypeOf<string>()
    expectTypeOf(useSSE('/api/live-real', { channel: 'jobs' }).data.value).toEqualTypeOf<string | undefined>()
  })

  it('names of `on` are keys and `key/name`, and misspelt ones are errors', () => {
    const { on } = useSSE('/api/live-many', {
      on: { 'feed': ({ data }) => expectTypeOf(data).toEqualTypeOf<Post>(), 'jobs/progress': ({ data }) => expectTypeOf(data).toEqualTypeOf<{ percent: number }>() },
    })
    on('jobs', ({ data }) => expectTypeOf(data).toEqualTypeOf<{ percent: number } | string>())
    on('message', ({ data }) => expectTypeOf(data).toEqualTypeOf<Post | string>())
    on('*', ({ channel }) => expectTypeOf(channel).toEqualTypeOf<'feed' | 'jobs'>())
    // @ts-expect-error No such channel.
    on('fed', () => {})
    // @ts-expect-error No such name.
    on('jobs/progres', () => {})
    // @ts-expect-error Names of a channel need its key here.
    on('progress', () => {})
  })

  it('the option `channel` narrows the call, and a misspelt key is an error', () => {
    const feed = useSSE('/api/live-many', { channel: 'feed', initial: [] as Post[], reduce: (all, { data }) => [data, ...all] })
    expectTypeOf(feed.data.value).toEqualTypeOf<Post[]>()
    expectTypeOf(feed.message.value!.data).toEqualTypeOf<Post>()
    const jobs = useSSE('/api/live-many', { channel: 'jobs', share: 'page', until: ({ data }) => data === 'done', on: { progress: ({ data }) => expectTypeOf(data.percent).toEqualTypeOf<number>() } })
    expectTypeOf(jobs.data.value).toEqualTypeOf<{ percent: number } | string | undefined>()
    jobs.on('progress', ({ data }) => expectTypeOf(data).toEqualTypeOf<{ percent: number }>())
    // @ts-expect-error Its names have no key.
    jobs.on('jobs/progress', () => {})
    expectTypeOf(jobs.loadOlder).returns.resolves.items.toHaveProperty('data')
    // @ts-expect-error No such channel.
    useSSE('/api/live-many', { channel: 'job' })
    // @ts-expect-error A route of one channel has no keys.
    useSSE('/live', { channel: 'feed' })
    useSSE<Post>('https://example.com/live', { channel: 'feed' })
    useSSE('https://example.com/live', { channel: 'feed' })
  })
})

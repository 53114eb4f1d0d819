import { describe, expectTypeOf, it } from 'vitest'
import { computed, ref } from 'vue'
import { useSSE } from '../../src/runtime/app/composables/use-sse'
import type { UseSSEOptions } from '../../src/runtime/app/composables/use-sse'
import type { SSEMessage } from '../../src/runtime/shared/types'

/** With the routes of use-sse.test-d.ts. The texts of these errors are in test/unit/app/type-errors.test.ts. */

const POST = { method: 'POST', body: {} } as const
const given = (): boolean => true

describe('a misspelt name of an event', () => {
  it('is an error wherever the route names its events', () => {
    const usages = () => {}
    // @ts-expect-error As an option.
    useSSE('/api/chat', { ...POST, on: { usages } })
    // @ts-expect-error With a query.
    useSSE('/api/chat?x=1', { ...POST, on: { usages } })
    // @ts-expect-error With a getter.
    useSSE(() => '/api/chat', { ...POST, on: { usages } })
    // @ts-expect-error With a ref.
    useSSE(ref('/api/chat' as const), { ...POST, on: { usages } })
    // @ts-expect-error With a computed URL.
    useSSE(computed(() => '/api/chat' as const), { ...POST, on: { usages } })
    // @ts-expect-error With a URL that may be missing.
    useSSE(() => given() ? '/api/chat' as const : null, { ...POST, on: { usages } })
    // @ts-expect-error With a state of one's own.
    useSSE('/api/chat', { ...POST, initial: 0, reduce: (sum, { event }) => event ? sum : sum + 1, on: { usages } })
    // @ts-expect-error Of the returned function.
    useSSE('/api/chat', POST).on('usages', usages)
    useSSE('/api/chat', { ...POST, on: { 'usage': usages, 'message': usages, '*': usages } })
  })
})

describe('a misspelt option', () => {
  it('is an error, with and without a type argument', () => {
    // @ts-expect-error It is `keep`.
    useSSE('/live', { keeps: 3 })
    // @ts-expect-error It is `keep`.
    useSSE<number>('/live', { keeps: 3 })
    // @ts-expect-error It is `minDelayMs`.
    useSSE('/live', { reconnect: { minDelay: 3 } })
  })
})

describe('a misspelt route', () => {
  it('is an error where its text is known', () => {
    // @ts-expect-error It is `/live`.
    useSSE('/lives')
    // @ts-expect-error With a query.
    useSSE('/lives?x=1')
    // @ts-expect-error With a getter.
    useSSE(() => '/lives')
    // @ts-expect-error With a ref.
    useSSE(ref('/lives' as const))
    // @ts-expect-error With a URL that may be missing.
    useSSE(() => given() ? '/lives' as const : null)
    // @ts-expect-error A route that does not stream.
    useSSE('/api/jobs/42')
    // @ts-expect-error A route that streams by another method.
    useSSE('/api/chat')
    // @ts-expect-error A route that does not stream by this method.
    useSSE('/api/jobs/42/stream', { method: 'POST' })
  })

  it('is no error where the text is known at run time only, or leads elsewhere, or the type of the data is given', () => {
    const id = '1' as string
    expectTypeOf(useSSE(`/lives/${id}`).data.value).toEqualTypeOf<unknown>()
    expectTypeOf(useSSE(() => `/lives/${id}`).data.value).toEqualTypeOf<unknown>()
    expectTypeOf(useSSE('/lives' as string).data.value).toEqualTypeOf<unknown>()
    expectTypeOf(useSSE('//example.com/lives').data.value).toEqualTypeOf<unknown>()
    expectTypeOf(useSSE('https://example.com/lives').data.value).toEqualTypeOf<unknown>()
    expectTypeOf(useSSE('').data.value).toEqualTypeOf<unknown>()
    expectTypeOf(useSSE<number>('/lives').data.value).toEqualTypeOf<number | undefined>()
    expectTypeOf(useSSE<unknown>('/lives').data.value).toEqualTypeOf<unknown>()
    const method = 'POST' as string
    useSSE('/api/jobs/42/stream', { method })
  })
})

describe('a ref', () => {
  it('is an error in each option that takes none', () => {
    // @ts-expect-error `immediate` takes no ref.
    useSSE('/live', { immediate: ref(true) })
    // @ts-expect-error `keep` takes no ref.
    useSSE('/live', { keep: ref(5) })
    // @ts-expect-error `ssr` takes no ref.
    useSSE('/live', { ssr: ref(true) })
    // @ts-expect-error `share` takes no ref.
    useSSE('/live', { share: ref('page' as const) })
    // @ts-expect-error `method` takes no ref.
    useSSE('/live', { method: ref('GET' as const) })
    // @ts-expect-error `credentials` takes no ref.
    useSSE('/live', { credentials: ref('include' as const) })
    // @ts-expect-error `position` takes no ref.
    useSSE('/live', { position: ref('start') })
    // @ts-expect-error `parse` takes no ref.
    useSSE('/live', { parse: ref('text' as const) })
    // @ts-expect-error `until` takes no ref.
    useSSE('/live', { until: ref(() => true) })
    // @ts-expect-error `transports` takes no ref.
    useSSE('/live', { transports: ref(['poll' as const]) })
    // @ts-expect-error `reconnect` takes no ref.
    useSSE('/live', { reconnect: ref({}) })
    // @ts-expect-error `connectTimeoutMs` takes no ref.
    useSSE('/live', { connectTimeoutMs: computed(() => 5) })
    // @ts-expect-error `silenceTimeoutMs` takes no ref.
    useSSE('/live', { silenceTimeoutMs: ref(5) })
    // @ts-expect-error `pauseWhenHidden` takes no ref.
    useSSE('/live', { pauseWhenHidden: ref(true) })
    // @ts-expect-error `fetch` takes no ref.
    useSSE('/live', { fetch: ref(fetch) })
    // @ts-expect-error `initial` takes no ref.
    useSSE('/live', { initial: ref(0) })
    // @ts-expect-error `reduce` takes no ref.
    useSSE('/live', { reduce: ref((sum: number) => sum) })
    // @ts-expect-error `onGap` takes no ref.
    useSSE('/live', { onGap: ref(() => {}) })
    // @ts-expect-error `onError` takes no ref.
    useSSE('/live', { onError: ref(() => {}) })
    // @ts-expect-error `onEnd` takes no ref.
    useSSE('/live', { onEnd: ref(() => {}) })
    // @ts-expect-error `on` takes no ref.
    useSSE('/live', { on: ref({}) })
    // @ts-expect-error Also with a type argument.
    useSSE<number>('/live', { keep: ref(5) })
  })

  it('is none in those that take one, and options keep their types', () => {
    useSSE('/live', { enabled: ref(true), query: ref({ a: 1 }), headers: ref({ a: 'b' }) })
    useSSE('/api/both', { method: 'POST', body: ref({}) })
    useSSE('/live', {
      until: ({ data }) => expectTypeOf(data).toEqualTypeOf<number>() as never,
      onGap: ({ reason }) => expectTypeOf(reason).toBeString(),
      parse: text => expectTypeOf(text).toEqualTypeOf<string>(),
      fetch: (...request) => fetch(...request),
      transports: ['poll'],
    })
    const options: UseSSEOptions<SSEMessage<number>, number> = { keep: 3, initial: 0 }
    expectTypeOf(useSSE<number, number>('/live', options).data.value).toEqualTypeOf<number>()
  })
})

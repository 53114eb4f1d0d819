import type { EffectScope } from 'vue'
import type { SSETransport } from 'nuxt-sse/client'
import type { ConnectionView } from './use-timeline'

type Switchable = ConnectionView & { data: Readonly<Ref<unknown>> }

/**
 * A connection whose transports may change: they are settled when it is made, so another choice is another connection, which goes
 * on where the one `before` stood. Another `source` begins anew. `make` calls `useSSE`.
 */
export function useSwitchable<Connection extends Switchable>(make: (transports: SSETransport[], before?: Switchable) => Connection, source?: () => unknown) {
  const transports = ref<SSETransport[]>(['stream', 'poll'])
  const nuxtApp = useNuxtApp()
  let scope: EffectScope

  function begin(before?: Switchable): Connection {
    scope = effectScope(true)
    return scope.run(() => make(transports.value, before))!
  }

  const connection = shallowRef(begin())
  watch([transports, () => source?.()], ([, now], [, was]) => {
    const last = scope
    const before = now === was ? connection.value : undefined
    connection.value = nuxtApp.runWithContext(() => begin(before)) as Connection
    last.stop()
  })
  onScopeDispose(() => scope.stop())

  return { connection, transports }
}

/** A source that was read to its end has nothing more to say over another transport. */
export function isComplete(before?: ConnectionView): boolean {
  return !!before?.ended.value
}

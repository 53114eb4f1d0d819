import type { EffectScope } from 'vue'
import type { SSETransport } from 'nuxt-sse/client'
import type { ConnectionView } from './use-timeline'

type Switchable = ConnectionView & { data: Readonly<Ref<unknown>> }

/**
 * Connection whose transports can change. Transports are fixed when a connection is made, so another choice makes another connection, which
 * continues at the position of the one `before`; so does a change of `also`. Another `source` starts from scratch. `make` calls `useSSE`.
 */
export function useSwitchable<Connection extends Switchable>(make: (transports: SSETransport[], before?: Switchable) => Connection, source?: () => unknown, also?: Ref<unknown>) {
  const transports = ref<SSETransport[]>(['stream', 'poll'])
  const nuxtApp = useNuxtApp()
  let scope: EffectScope

  function begin(before?: Switchable): Connection {
    scope = effectScope(true)
    return scope.run(() => make(transports.value, before))!
  }

  const connection = shallowRef(begin())
  watch([transports, () => source?.(), () => also?.value], ([, now], [, was]) => {
    const last = scope
    const before = now === was ? connection.value : undefined
    connection.value = nuxtApp.runWithContext(() => begin(before)) as Connection
    last.stop()
  })
  onScopeDispose(() => scope.stop())

  return { connection, transports }
}

/** Whether the source was read to its end: another transport would bring no more messages. */
export function isComplete(before?: ConnectionView): boolean {
  return !!before?.ended.value
}

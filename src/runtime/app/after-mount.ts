import { getCurrentInstance, getCurrentScope, onMounted } from 'vue'
import { tryOnScopeDispose } from '@vueuse/core'
import type { NuxtApp } from '#app'

/**
 * Runs `task` after mount, so that the first render in the browser matches the server's. In a plugin, or in a store, whose scope outlives the
 * component that first uses it, runs it after the application's first render. In `onMounted`, which runs only once, runs it at once.
 */
export function afterMount(nuxtApp: NuxtApp, task: () => void): void {
  const component = getCurrentInstance() as ReturnType<typeof getCurrentInstance> & { scope?: unknown }
  const isOwn = component && getCurrentScope() === component.scope
  if (isOwn ? component.isMounted : !nuxtApp.isHydrating) task()
  else if (isOwn) onMounted(task)
  else tryOnScopeDispose(nuxtApp.hooks.hookOnce('app:suspense:resolve', task))
}

import { createServer } from 'vite'
import type { ViteDevServer } from 'vite'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createSSRApp, h } from 'vue'
import { renderToString } from 'vue/server-renderer'
import type { UseSSEReturn, useSSE as UseSSE } from '../../../src/runtime/app/composables/use-sse'
import type { SSEMessage } from '../../../src/runtime/shared/types'
import { message } from '../../support/scripted-server'
import { useHarness } from './harness'

const harness = useHarness()
let vite: ViteDevServer
let useSSE: typeof UseSSE

// The composable as Nuxt compiles it for its server: `import.meta.server` is true, and `#imports` is Nuxt's.
beforeAll(async () => {
  vite = await createServer({
    configFile: false,
    appType: 'custom',
    logLevel: 'error',
    server: { middlewareMode: true, ws: false, watch: null },
    define: { 'import.meta.server': 'true', 'import.meta.client': 'false' },
    plugins: [{
      name: 'nuxt-imports',
      enforce: 'pre',
      resolveId: id => id === '#imports' ? '\0imports' : undefined,
      load: id => id === '\0imports' ? 'export const useNuxtApp = () => ({ $config: { app: { baseURL: "/" } } })' : undefined,
    }],
  })
  useSSE = (await vite.ssrLoadModule('/src/runtime/app/composables/use-sse.ts')).useSSE
})
afterAll(() => vite.close())

// @guarantee server-idle
it('on the server nothing opens, even on request, and the status is idle', async () => {
  harness.server.script(x => x.open().write(message(1)))
  const called: unknown[] = []
  let sse!: UseSSEReturn<SSEMessage<number>, number>
  const html = await renderToString(createSSRApp({
    setup() {
      sse = useSSE<number, number>(harness.server.url, { initial: 7, on: { '*': one => called.push(one) } })
      sse.connect()
      sse.connect(harness.server.url)
      sse.stop()
      return () => h('p', `${sse.status.value} ${sse.data.value} ${sse.transport.value}`)
    },
  }))
  expect(html).toBe('<p>idle 7 stream</p>')
  // Long enough for a request that had started to be here.
  await fetch(harness.server.url).then(response => response.body!.cancel())
  expect([harness.server.exchanges.length, called, sse.status.value]).toEqual([1, [], 'idle'])
})

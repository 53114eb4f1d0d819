import { mountSuspended } from '@nuxt/test-utils/runtime'
import { afterEach, beforeEach } from 'vitest'
import { defineComponent } from 'vue'
import type { VNodeChild } from 'vue'
import type { ScriptedServer } from './scripted-server'
import { startScriptedServer } from './scripted-server'

type Wrapper = Awaited<ReturnType<typeof mountSuspended>>

/** A scripted server for each test of a file. The returned object always stands for that of the current test. */
export function useScriptedServer(): ScriptedServer {
  let current: ScriptedServer
  beforeEach(async () => {
    current = await startScriptedServer()
  })
  afterEach(() => current.close())
  return new Proxy({} as ScriptedServer, { get: (_, name) => Reflect.get(current, name) })
}

/** Mounts components, and unmounts them after the test: before a server that was requested earlier closes. */
export function useMounting(): <Made>(setup: () => Made, render: (made: Made) => VNodeChild) => Promise<{ made: Made, wrapper: Wrapper }> {
  const mounted: Wrapper[] = []
  afterEach(() => {
    for (const wrapper of mounted.splice(0)) wrapper.unmount()
  })
  return async (setup, render) => {
    let made!: ReturnType<typeof setup>
    const wrapper = await mountSuspended(defineComponent({
      setup() {
        made = setup()
        return () => render(made)
      },
    }))
    mounted.push(wrapper)
    return { made, wrapper }
  }
}

import { defineBrowserProvider } from '@vitest/browser'
import type { BrowserProviderOption } from 'vitest/node'
import type { Engine, EngineName } from './engines'
import { launchEngine } from './engines'

/** Runs Vitest's tests inside a page of an engine that Vitest's own providers cannot drive as Debian has it. */
export function engineProvider(engineName: EngineName): BrowserProviderOption {
  // Vitest takes code for its page by the name of the provider, and this is one that it has.
  const name = 'playwright'
  return defineBrowserProvider({
    name,
    options: {},
    providerFactory({ browser }) {
      // The page calls these for tests that look at it, of which there are none.
      for (const command of ['__vitest_viewport', '__vitest_cleanup']) browser!.registerCommand(command as never, (() => {}) as never)
      let engine: Promise<Engine> | undefined
      return {
        name,
        supportsParallelism: false,
        getCommandsContext: () => ({}),
        async openPage(_, url) {
          engine ??= launchEngine(engineName)
          const page = await (await engine).front()
          await page.goto(url)
        },
        async close() {
          await (await engine)?.close()
          engine = undefined
        },
      }
    },
  })
}

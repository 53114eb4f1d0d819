/** Presets of Nitro 2 whose entry makes a request of its own for the application, and passes no signal on. */
const PRESETS = ['bun', 'deno-server']
/** In the options of `localFetch`: where it has the web's request by hand, under whatever name. */
const HEADERS = /\bheaders: (\w+)\.headers\b/g

/** What is looked at of a build by Nitro 2. */
export interface Nitro2Build {
  options: { preset?: string, entry?: string }
  hooks: { hook(name: 'rollup:before', callback: (nitro: unknown, config: { plugins?: unknown }) => void): unknown }
  logger: { warn(message: string): void }
}

/**
 * Has the web's request handed on to the application, as `event.context.sseRequest`: its signal is the only one that says, before an
 * answer has begun, that its client has left. Nitro 2 has no word for it, so that its entry is changed while it is bundled; one
 * that is not as expected is left as it is, and that is said.
 */
export function passRequestOn({ options, hooks, logger }: Nitro2Build): void {
  if (!PRESETS.includes(options.preset ?? '')) return
  let passed = false
  hooks.hook('rollup:before', (_, config) => void (config.plugins as object[]).unshift({
    name: 'nuxt-sse:pass-request-on',
    transform(code: string, id: string) {
      // With or without its extension, as the preset has it.
      if (!options.entry || !id.startsWith(options.entry)) return
      const changed = withRequest(code)
      passed ||= changed !== undefined
      // On the line on which it was: what maps lines goes on to be right.
      return changed && { code: changed, map: null }
    },
    buildEnd(error?: Error) {
      if (!passed && !error) logger.warn('[nuxt-sse] The server of this version of Nitro is not as expected: a poll whose client leaves is let go of when its wait is over.')
    },
  }))
}

/** `undefined` unless there is exactly one place for it. */
export function withRequest(code: string): string | undefined {
  if ([...code.matchAll(HEADERS)].length !== 1 || /\bcontext:/.test(code)) return undefined
  return code.replace(HEADERS, 'context: { _platform: { sseRequest: $1 } }, $&')
}

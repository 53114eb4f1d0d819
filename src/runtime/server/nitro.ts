import { useRuntimeConfig } from 'nitropack/runtime'
import type { SSEContext } from './context'
import { createSSEContext } from './context'
import type { SSEHandlerOptions } from './options'
import { resolveHandlerOptions } from './options'

let context: SSEContext | undefined

/** The context of this process, made when first asked for: another plugin may publish before ours has run. */
export function useSSEContext(): SSEContext {
  return context ??= createSSEContext({ options: resolveHandlerOptions(readOptions()) })
}

/** Ends what {@link useSSEContext} began, if anything did. */
export async function closeSSEContext(): Promise<void> {
  await context?.close()
}

/** Environment variables (`NUXT_SSE_HEARTBEAT_MS`) have been laid over what the module resolved at build time. */
function readOptions(): SSEHandlerOptions {
  return (useRuntimeConfig() as { sse?: SSEHandlerOptions }).sse ?? {}
}

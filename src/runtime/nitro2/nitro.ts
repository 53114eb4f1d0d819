/** `#sse/nitro` for Nitro 2 (nitropack). */
export { useRuntimeConfig } from 'nitropack/runtime'

/** What its server for Bun takes as the idle limit, in seconds. */
export const BUN_IDLE_VARIABLE: string | undefined = 'NITRO_BUN_IDLE_TIMEOUT'

/** `#sse/nitro` for Nitro 2 (nitropack). */
export { useRuntimeConfig } from 'nitropack/runtime'

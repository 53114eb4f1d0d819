/** `nuxt-sse/ai` in the app: a transport for `useChat` of the AI SDK. In `server/`, `server-entry.ts` takes its place. */
export { SSEChatTransport } from './sse-chat-transport'
export type { SSEChatTransportOptions } from './sse-chat-transport'

/** `nuxt-sse/ai` in `server/`, and the types of that name. It has the transport, too, as pages that are rendered there import it. */
export * from './index'
export { defineSSEChatHandler } from '../server/ai/define-sse-chat-handler'
export type { SSEChat, SSEChatAnswer, SSEChatHandlerOptions } from '../server/ai/define-sse-chat-handler'

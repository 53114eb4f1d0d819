/**
 * Identifies the user of a stream before its handler runs, so that `disconnectSSE` can end the stream. The handler decides whether the user
 * may read.
 */
export default defineEventHandler(async (event) => {
  if (/^\/api\/(?:live|notices\/(?:stream|bearer|plain))\b/.test(event.path)) event.context.userId = await userIdOf(event)
})

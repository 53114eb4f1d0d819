/** Kills an instance of `npm run dev:cluster`, which starts it again. Any instance passes the request on. */
export default defineEventHandler(async (event) => {
  if (!isCluster()) throw createError({ statusCode: 404, message: 'Only `npm run dev:cluster` starts killed instances again.' })
  const { pid } = await readBody<{ pid?: unknown } | undefined>(event) ?? {}
  if (typeof pid !== 'number') throw createError({ statusCode: 400, message: 'Expected `pid` to be a number.' })
  // After the response: the browser would repeat a request that was cut off.
  event.node.res.once('close', () => applyNews({ kill: pid }))
  return sendNoContent(event)
})

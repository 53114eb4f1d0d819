/** Stops it, wherever it is written. */
export default defineEventHandler(async (event) => {
  await answerChannel(readId(getRouterParam(event, 'id'))).stop()
  return sendNoContent(event)
})

/** Stops an answer, on whichever instance it is produced. */
export default defineEventHandler(async (event) => {
  await answerChannel(readId(getRouterParam(event, 'id'))).stop()
  return sendNoContent(event)
})

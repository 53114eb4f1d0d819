/** Streams an answer to any number of viewers, each from its own position. */
export default defineSSEHandler(async (event) => {
  const channel = answerChannel(readId(getRouterParam(event, 'id')))
  // A store that has lost the answer has neither messages nor a producer: its viewers must not wait forever.
  const { running, ended, lastOffset } = await channel.info()
  if (!running && !ended && lastOffset === 0) throw createError({ statusCode: 404, message: 'There is no such answer here. The server that kept it may have stopped.' })
  return channel
})

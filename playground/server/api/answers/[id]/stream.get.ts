/** An answer from its beginning, for as many viewers as there are, each from where it is. */
export default defineSSEHandler(async (event) => {
  const channel = answerChannel(readId(getRouterParam(event, 'id')))
  // A store that has lost it knows neither words nor a writer: whoever asks should not wait for ever.
  const { running, ended, lastOffset } = await channel.info()
  if (!running && !ended && lastOffset === 0) throw createError({ statusCode: 404, message: 'There is no such answer here. It may have been kept by a server that has gone since.' })
  return channel
})

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/

export default defineSSEHandler(async (event) => {
  const id = getRouterParam(event, 'id') ?? ''
  const channel = UUID.test(id) && jobChannel(id)
  if (!channel || (await channel.info()).lastOffset === 0) {
    throw createError({ statusCode: 404, message: 'There is no such job here. The server that ran it may have stopped.' })
  }
  return channel
})

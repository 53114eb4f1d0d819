export default defineSSEHandler(async (event) => {
  const channel = jobChannel(getRouterParam(event, 'id')!)
  const { lastOffset } = await channel.info()
  if (lastOffset === 0) throw createError({ statusCode: 404, message: 'There is no such job here. It may have run in a server that has gone since.' })
  return channel
})

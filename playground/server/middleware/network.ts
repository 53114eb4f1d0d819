/**
 * Applies the network that a browser tab has chosen (`?tab=<id>.<network>`) to its streams and polls, so that its page can show the
 * effects. For the playground only.
 */
export default defineEventHandler((event) => {
  const { tab } = getQuery(event)
  if (typeof tab !== 'string') return
  listenForNews()
  const [id = '', network] = tab.split('.')
  if (enterTab(id, isNetwork(network) ? network : 'normal', event.node.res) === 'stop') {
    throw createError({ statusCode: 503, statusMessage: 'Service Unavailable', message: 'Stopped by you, in the network panel.' })
  }
})

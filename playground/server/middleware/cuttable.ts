/** Remembers the sockets of each browser tab (`?tab=`), so that its page can have them cut. Only a playground does this. */
export default defineEventHandler((event) => {
  const { tab } = getQuery(event)
  const socket = event.node.res.socket
  if (typeof tab === 'string' && socket) rememberSocket(tab, socket, event.node.res)
})

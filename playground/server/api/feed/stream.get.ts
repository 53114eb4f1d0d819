/** Posts, and the list of visitors, on one connection. A visitor has no account here, so its tab is its identity. */
export default defineSSEHandler((event) => {
  const id = String(getQuery(event).tab ?? '').split('.')[0]!.slice(0, 20)
  const visitor = id ? { id, data: { name: `Visitor ${id.slice(-4)}` } } : undefined
  return useSSEChannels({ feed: feedChannel(), here: useSSEPresence('feed', visitor) })
}, { from: 'now' })

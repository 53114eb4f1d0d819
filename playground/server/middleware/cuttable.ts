/** Remembers what is open for each browser tab (`?tab=`), so that its page can have it cut. Only a playground does this. */
export default defineEventHandler((event) => {
  const { tab } = getQuery(event)
  if (typeof tab === 'string') rememberResponse(tab, event.node.res)
})

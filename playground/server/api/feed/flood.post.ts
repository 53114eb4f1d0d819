/** Publishes more posts than the channel stores: a reader that is away meanwhile misses some, and receives a gap. */
export default defineEventHandler(async () => {
  const total = FEED_LIMITS.posts + 3
  for (let number = 1; number <= total; number++) {
    await feedChannel().publish({ author: 'Robot', text: `Post ${number} of ${total}.`, at: new Date().toISOString() })
  }
  return { total }
})

import type { FeedEntry } from '#shared/types/feed'

/** Few posts, so that a visitor can make the feed lose some. */
export const feedChannel = () => useSSEChannel<FeedEntry>('feed', { retention: { maxMessages: FEED_LIMITS.posts } })

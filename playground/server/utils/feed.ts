import type { FeedEntry } from '#shared/types/feed'

export const feedChannel = () => useSSEChannel<FeedEntry>('feed')

export interface FeedEntry {
  author: string
  text: string
  /** ISO 8601. */
  at: string
}

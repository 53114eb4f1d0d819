export interface FeedEntry {
  title?: string
  author: string
  text: string
  /** ISO 8601. */
  at: string
}

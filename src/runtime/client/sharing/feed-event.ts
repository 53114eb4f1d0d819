import type { SSEMessage } from '../../shared/types'
import type { SSEClientState, SSEGap } from '../types'

/** One step of a group's feed. Each says where it begins, so that a hole is seen. */
export interface FeedEvent {
  /** Where the feed stood before: a position, or what was asked for while there was none. */
  after: string | undefined
  /** The feeding client's. Its position is where the feed stands now. */
  state: SSEClientState
  message?: SSEMessage
  /** What was missed between `after` and now. */
  gap?: SSEGap
}

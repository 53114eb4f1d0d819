import { createEpoch, formatPosition, parsePositionRequest } from '../shared/position'
import type { SSEBatch, SSEControl, SSEGap } from '../shared/protocol'
import type { SSEMessage } from '../shared/types'
import { assertEvent, encodeControl, encodeData, encodeMessage, encodeOpeningBlock } from '../server/wire/encode'

interface StoredMessage {
  message: SSEMessage
  json: string
}

/** Place in a log where a reader begins. */
export interface MockedStart {
  /** Number of entries before it. */
  index: number
  resumed: boolean
  /** For a position of another log, as after a lost one. */
  gap?: SSEGap
}

/** Everything that a mocked source has sent, as a server would send it. */
export interface MockedLog {
  /** Last control message, once the source is over. A client that connects later receives it after the messages. */
  over?: SSEControl
  readonly length: number
  message(data: unknown, event?: string): void
  gap(reason: SSEGap['reason'], missed: number | null): void
  locate(position: string | undefined): MockedStart
  /** First blocks of a stream. */
  open(start: MockedStart): string
  /** Everything from an index on. */
  read(index: number): string
  /** Answer to a poll: a gap, and the messages up to the next one. */
  batch(start: MockedStart): SSEBatch
}

/** `resumable`: whether there are positions. */
export function createMockedLog(resumable: boolean): MockedLog {
  const epoch = createEpoch()
  const entries: (StoredMessage | SSEGap)[] = []
  const positionAt = (index: number) => formatPosition(epoch, index)
  const gapText = (gap: SSEGap) => encodeControl({ type: 'gap', ...gap }, resumable ? gap.position : undefined)

  const log: MockedLog = {
    get length() {
      return entries.length
    },
    message(data, event) {
      assertEvent(event)
      const json = encodeData(data, Infinity, true)
      entries.push({ json, message: { ...resumable && { id: positionAt(entries.length + 1) }, ...event !== undefined && { event }, data: JSON.parse(json) } })
    },
    gap(reason, missed) {
      entries.push({ reason, missed, position: positionAt(entries.length + 1) })
    },
    locate(text) {
      const asked = resumable && text !== undefined ? parsePositionRequest(text) : undefined
      if (asked?.kind === 'now') return { index: entries.length, resumed: false }
      if (asked?.kind === 'count') return { index: Math.min(asked.offset, entries.length), resumed: false }
      if (asked?.kind !== 'at') return { index: 0, resumed: false }
      if (asked.epoch === epoch && asked.offset <= entries.length) return { index: asked.offset, resumed: true }
      return { index: 0, resumed: false, gap: { reason: 'epoch', missed: null, position: positionAt(0) } }
    },
    open({ index, resumed, gap }) {
      const open = { type: 'open', heartbeatMs: 0 } as const
      if (!resumable) return encodeOpeningBlock(0, { ...open, restarts: true })
      return encodeOpeningBlock(0, { ...open, position: positionAt(index), resumed }, positionAt(index)) + (gap ? gapText(gap) : '')
    },
    read: index => entries.slice(index).map(entry => 'json' in entry ? encodeMessage({ ...entry.message, data: entry.json }) : gapText(entry)).join(''),
    batch({ index, gap }) {
      const next = entries[index]
      const first = gap ?? (next && 'reason' in next ? next : null)
      const rest = entries.slice(first && first !== gap ? index + 1 : index)
      const nextGap = rest.findIndex(entry => 'reason' in entry)
      const messages = (nextGap < 0 ? rest : rest.slice(0, nextGap)) as StoredMessage[]
      const to = entries.length - rest.length + messages.length
      const over = to === entries.length ? log.over : undefined
      const error = over?.type === 'error' && { error: { code: over.code, message: over.message, statusCode: over.statusCode, retry: over.retry } }
      return { type: 'batch', messages: messages.map(({ message }) => message), position: positionAt(to), ended: !!over, gap: first, pollMs: 0, ...error }
    },
  }
  return log
}

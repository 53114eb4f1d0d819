import type { SSEStatus } from '../../../../src/runtime/client'

const STATUSES = ['idle', 'connecting', 'connected', 'reconnecting', 'closed'] as const satisfies SSEStatus[]

/** Where an input leads from a status. A cell names one or more, each after the conditions of its note; `·` cannot happen. */
export interface Row {
  input: string
  next: Record<SSEStatus, string>
  effect: string
}

function row(input: string, next: string, effect: string): Row {
  const cells = next.split(/\s+\|\s+/)
  return { input, effect, next: Object.fromEntries(STATUSES.map((status, index) => [status, cells[index]!])) as Row['next'] }
}

/**
 * The state machine as data: the model test holds the client to it, and `docs/contributing/client-states.md` is checked against it.
 * Columns: idle | connecting | connected | reconnecting | closed.
 */
const ROWS: Row[] = [
  row('`connect()`', 'connecting, idle ʰ | connecting, idle ʰ | connecting, idle ʰ | connecting, idle ʰ | connecting, idle ʰ', 'a new session: the old one is aborted, the position stays, `attempt` is 0'),
  row('`connect(url)`', 'connecting, idle ʰ | connecting, idle ʰ | connecting, idle ʰ | connecting, idle ʰ | connecting, idle ʰ', 'the same, without a position'),
  row('`pause()`', 'idle | idle, connecting ᵖ | idle, connected ᵖ | idle, reconnecting ᵖ | closed', 'the session is aborted, the position stays; a sleeping client stays idle'),
  row('`stop()`', 'closed, idle ⁿ | closed | closed | closed | closed', 'final: nothing is left but the state'),
  row('`reset()`', 'idle | idle | idle | idle | idle', 'as before the first `connect()`: position, error and everything else are forgotten'),
  row('`pagehide`, `freeze`', 'idle | idle, connecting ᵖ | idle, connected ᵖ | idle, reconnecting ᵖ | closed', 'asleep: as `pause()`, and the page wakes it'),
  row('hidden', 'idle | connecting, idle ʰ | connected, idle ʰ | reconnecting, idle ʰ | closed', 'nothing; with `pauseWhenHidden` as `freeze`'),
  row('`pageshow`, `resume`, visible', 'connecting ˢ, idle | connecting, reconnecting ˡ | connected, reconnecting ˡ | reconnecting | closed', 'a sleeping client connects; else the clocks are compared, and an overdue wait ends; with a position, one poll finds out within two seconds whether the stream is dead, at most every ten'),
  row('`online`', 'connecting ˢ, idle | connecting, reconnecting ˡ | connected, reconnecting ˡ | reconnecting | closed', 'the same; a wait ends, and a poll tries the stream'),
  row('`offline`', 'idle | reconnecting, connecting ᵖ ᵈ, idle ʰ | reconnecting, connected ᵖ, idle ʰ | reconnecting, idle ʰ | closed', '`NETWORK`, not counted: the attempt is cut and made again after its delay'),
  row('first bytes of a stream', '· | connected | connected | connected | ·', '`error` is cleared; `attempt` after a message, or after a lasting connection'),
  row('a batch', '· | connected | connected | connected | ·', 'the same'),
  row('a message', '· | · | connected | · | ·', '`attempt` is 0'),
  row('`gap`', '· | connected | connected | connected | ·', 'its position is adopted'),
  row('`load` resolves', '· | connecting | · | reconnecting | ·', '`data` and `position` are those of `load`; the stream is asked for what follows'),
  row('`load` rejects', '· | reconnecting, closed ᵐ | · | reconnecting, closed ᵐ | ·', '`LOAD_FAILED`, counted; not before `Retry-After`'),
  row('`load` rejects with any other 4xx, or resolves without a position', '· | closed | · | closed | ·', '`LOAD_FAILED`: final'),
  row('`gap`, with `load`', '· | reconnecting, closed ᵐ | reconnecting, closed ᵐ | reconnecting, closed ᵐ | ·', '`load` is called again after a random delay, or at once after a reconnect; where nothing followed the last `load`: `LOAD_FAILED`, counted'),
  row('a source without positions, with `load`', '· | closed | · | closed | ·', '`LOAD_FAILED`: final'),
  row('`end`, 204, an ended batch, `until`', '· | closed | closed | closed | ·', '`ended`, no error'),
  row('`leave`', '· | · | reconnecting, closed ᵖ | · | ·', 'waits for its full time, regardless of other inputs'),
  row('a drop: no connection, or an end of bytes', '· | reconnecting, closed ᵖ ᵐ | reconnecting, closed ᵖ ᵐ | reconnecting, closed ᵖ ᵐ | ·', '`NETWORK`, counted'),
  row('408, 425, 429, 5xx', '· | reconnecting, closed ᵖ ᵐ | reconnecting, closed ᵖ ᵐ | reconnecting, closed ᵖ ᵐ | ·', '`HTTP_ERROR` or the code of the server, counted; not before `Retry-After`'),
  row('503 `pending`', '· | reconnecting | reconnecting | reconnecting | ·', 'the same, not counted'),
  row('any other 4xx', '· | closed, connecting ᵘ | closed, reconnecting ᵘ | closed, reconnecting ᵘ | ·', 'final'),
  row('a 200 that is no stream, or no batch', '· | closed, connecting ᵘ | closed, reconnecting ᵘ | closed, reconnecting ᵘ | ·', '`NOT_EVENT_STREAM`, `INVALID_BATCH`: final'),
  row('`error` that may be tried again', '· | · | reconnecting, closed ᵖ ᵐ | · | ·', 'its code, counted'),
  row('`error` that may not', '· | · | closed | · | ·', 'its code: final'),
  row('nothing for `connectTimeoutMs`', '· | reconnecting, closed ᵖ ᵐ | reconnecting, closed ᵖ ᵐ | reconnecting, closed ᵖ ᵐ | ·', '`CONNECT_TIMEOUT`, counted; after the second silent one in a row, polling takes over'),
  row('silence', '· | · | reconnecting, closed ᵖ ᵐ | · | ·', '`SILENCE`, counted'),
  row('a delay is over', '· | · | · | reconnecting | ·', 'the next attempt; `retryAt` is cleared'),
]

const NOTES: [string, string][] = [
  ['ᵈ', '`load` is under way: it runs on'],
  ['ʰ', 'with `pauseWhenHidden`, while the page is hidden'],
  ['ˡ', 'it was silent for longer than its limit, also after the queued bytes'],
  ['ᵐ', '`maxAttempts` failures in a row: `GAVE_UP`'],
  ['ⁿ', '`connect()` was never called'],
  ['ᵖ', 'a request other than `GET` is under way, and the server has not confirmed that it resumes: the client does not cut it, and does not repeat it when it is lost (`INTERRUPTED`, `CONNECT_TIMEOUT`, or the status of the server), unless the server has refused it'],
  ['ˢ', 'it slept, and with `pauseWhenHidden` the page is visible'],
  ['ᵘ', 'after a poll: 406, or a 200 that is no batch, returns to the stream at once'],
]

/** The possible statuses of the client after an input. */
export function allowed(input: string, before: SSEStatus): SSEStatus[] {
  const row = ROWS.find(one => one.input === input)
  if (!row) throw new Error(`No such input: ${input}`)
  return row.next[before].split(', ').map(cell => cell.split(' ')[0] as SSEStatus)
}

/** The table in `docs/contributing/client-states.md`. */
export function renderTable(): string {
  const lines = [
    ['input', ...STATUSES.map(status => `\`${status}\``), 'effect'],
    ['---', ...STATUSES.map(() => '---'), '---'],
    ...ROWS.map(({ input, next, effect }) => [input, ...STATUSES.map(status => next[status]), effect]),
  ]
  return [...lines.map(cells => `| ${cells.join(' | ')} |`), '', ...NOTES.map(([mark, text]) => `${mark} ${text}  `)].join('\n')
}

/**
 * Position of a reader in a channel.
 *
 * An offset alone is not enough: a log that was lost starts at 1 again, and "7" would then name another message. The epoch names one life
 * of the log, so that a position of an earlier life is recognised and answered with a gap.
 */
export interface StreamPosition {
  /** Name of one life of a log: letters and digits, at least one letter. */
  epoch: string
  /** 1, 2, 3, … per message, without holes; 0 is before the first message. */
  offset: number
}

/** Parsed request for a position. `count` is the bare number n: "I have the first n". `last` is `-n`: the last n messages that are kept. */
export type PositionRequest
  = | { kind: 'start' }
    | { kind: 'now' }
    | { kind: 'last', messages: number }
    | { kind: 'at', epoch: string, offset: number }
    | { kind: 'count', offset: number }

/** Accepted forms, for every error about a malformed position. */
export const POSITION_FORMS = '`start`, `now`, a message ID (`<epoch>.<offset>`), the number of messages already received, or `-n` for the last n messages'

const MAX_POSITION_LENGTH = 128
const EPOCH_RANDOM_LENGTH = 8
/** Random characters of a secret epoch (134 bits). */
export const SECRET_LENGTH = 26
const OFFSET_PATTERN = /^(?:0|[1-9]\d{0,15})$/
const LAST_PATTERN = /^-[1-9]\d{0,15}$/
// At least one letter, so that a decimal number such as "1.5" is malformed and not "epoch 1, offset 5".
const EPOCH_PATTERN = /^(?=.*[a-z])[a-z0-9]{1,64}$/i

export function formatPosition(epoch: string, offset: number): string {
  return `${epoch}.${offset}`
}

/** Parses `<epoch>.<offset>`; `undefined` for any other text. */
export function parsePosition(text: string): StreamPosition | undefined {
  if (text.length > MAX_POSITION_LENGTH) return undefined
  const dot = text.indexOf('.')
  if (dot < 0) return undefined
  const epoch = text.slice(0, dot)
  const offset = parseOffset(text.slice(dot + 1))
  if (offset === undefined || !EPOCH_PATTERN.test(epoch)) return undefined
  return { epoch, offset }
}

/** Parses every form of a requested position; `undefined` when malformed. */
export function parsePositionRequest(text: string): PositionRequest | undefined {
  if (text === 'start' || text === 'now') return { kind: text }
  if (LAST_PATTERN.test(text)) {
    const messages = parseOffset(text.slice(1))
    return messages === undefined ? undefined : { kind: 'last', messages }
  }
  const count = parseOffset(text)
  if (count !== undefined) return { kind: 'count', offset: count }
  const position = parsePosition(text)
  return position && { kind: 'at', ...position }
}

/**
 * Creates an epoch: the letter `e` and base-36 characters from the platform's random source. 8 of them (about 41 bits) distinguish lives; a
 * secret epoch has `SECRET_LENGTH`. When a store was rolled back, it gives a log another epoch. A secret epoch stays as its prefix, since
 * the channel is found by that ({@link rootOf}).
 */
export function createEpoch(randomLength = EPOCH_RANDOM_LENGTH): string {
  let epoch = 'e'
  while (epoch.length <= randomLength) {
    // All missing bytes at once: a call for each would cost ten times as much.
    for (const byte of crypto.getRandomValues(new Uint8Array(randomLength + 1 - epoch.length))) {
      // 252 is the largest multiple of 36 in a byte: rejecting larger bytes keeps every character equally likely.
      if (byte < 252) epoch += (byte % 36).toString(36)
    }
  }
  return epoch
}

/** Part of a secret epoch that stays through all lives of its log. Any other epoch is returned unchanged. */
export function rootOf(epoch: string): string {
  return epoch.slice(0, SECRET_LENGTH + 1)
}

function parseOffset(text: string): number | undefined {
  if (!OFFSET_PATTERN.test(text)) return undefined
  const offset = Number(text)
  return Number.isSafeInteger(offset) ? offset : undefined
}

/** Epoch and offset of a position of ours. Fewer bytes for a page than {@link parsePosition}, which also refuses what no server sends. */
function split(position = ''): RegExpExecArray | null {
  return /^(\d*[a-z][a-z\d]*)\.(\d+)$/i.exec(position)
}

/** Whether `position` is at or before `other`, in the same life of a log. `false` where that cannot be known. */
export function isUpTo(position: string | undefined, other: string | undefined): boolean {
  const [, epoch, offset] = split(position) ?? []
  const [, otherEpoch, otherOffset] = split(other) ?? []
  return epoch !== undefined && epoch === otherEpoch && +offset! <= +otherOffset!
}

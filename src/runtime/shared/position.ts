/**
 * Where a reader stands in a channel.
 *
 * An offset alone is not enough: a log that was lost starts at 1 again, and "7" would then name another message.
 * The epoch names one life of the log, so that a position of an earlier life is recognised and answered with a gap.
 */
export interface StreamPosition {
  /** One life of a log: letters and digits, at least one letter. */
  epoch: string
  /** 1, 2, 3, … per message, without holes; 0 stands before the first message. */
  offset: number
}

/** What a client may ask for, parsed. `count` is the bare number n: "I have the first n". */
export type PositionRequest
  = | { kind: 'start' }
    | { kind: 'now' }
    | { kind: 'at', epoch: string, offset: number }
    | { kind: 'count', offset: number }

/** One sentence for every error about a malformed position. */
export const POSITION_FORMS = '`start`, `now`, the id of a message (`<epoch>.<offset>`), or a number of messages already had'

const MAX_POSITION_LENGTH = 128
const EPOCH_RANDOM_LENGTH = 8
/** Random characters of an epoch that nobody may guess (134 bits). */
export const SECRET_LENGTH = 26
const OFFSET_PATTERN = /^(?:0|[1-9]\d{0,15})$/
// At least one letter, so that a decimal number such as "1.5" is malformed and not "epoch 1, offset 5".
const EPOCH_PATTERN = /^(?=.*[a-z])[a-z0-9]{1,64}$/i

export function formatPosition(epoch: string, offset: number): string {
  return `${epoch}.${offset}`
}

/** Parses `<epoch>.<offset>`; `undefined` when the text is anything else. */
export function parsePosition(text: string): StreamPosition | undefined {
  if (text.length > MAX_POSITION_LENGTH) return undefined
  const dot = text.indexOf('.')
  if (dot < 0) return undefined
  const epoch = text.slice(0, dot)
  const offset = parseOffset(text.slice(dot + 1))
  if (offset === undefined || !EPOCH_PATTERN.test(epoch)) return undefined
  return { epoch, offset }
}

/** Parses every form a position may be asked for in; `undefined` when malformed. */
export function parsePositionRequest(text: string): PositionRequest | undefined {
  if (text === 'start' || text === 'now') return { kind: text }
  const count = parseOffset(text)
  if (count !== undefined) return { kind: 'count', offset: count }
  const position = parsePosition(text)
  return position && { kind: 'at', ...position }
}

/**
 * A new epoch: the letter `e` and base-36 characters from the platform's random source. 8 of them (about 41 bits) tell lives
 * apart; an epoch that nobody may guess has `SECRET_LENGTH`. A store that has gone back gives a log another epoch, and keeps a
 * secret one in front of it, since the channel is found by that ({@link rootOf}).
 */
export function createEpoch(randomLength = EPOCH_RANDOM_LENGTH): string {
  let epoch = 'e'
  while (epoch.length <= randomLength) {
    // All that are missing at once: a call for each would cost ten times as much.
    for (const byte of crypto.getRandomValues(new Uint8Array(randomLength + 1 - epoch.length))) {
      // 252 is the largest multiple of 36 in a byte: rejecting what lies above keeps every character equally likely.
      if (byte < 252) epoch += (byte % 36).toString(36)
    }
  }
  return epoch
}

/** The part of a secret epoch that stays through all lives of its log. Any other epoch is returned as it is. */
export function rootOf(epoch: string): string {
  return epoch.slice(0, SECRET_LENGTH + 1)
}

function parseOffset(text: string): number | undefined {
  if (!OFFSET_PATTERN.test(text)) return undefined
  const offset = Number(text)
  return Number.isSafeInteger(offset) ? offset : undefined
}

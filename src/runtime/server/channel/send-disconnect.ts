import type { SSEPublicError } from '../../shared/errors'
import { SSEError, invalidOption } from '../../shared/errors'
import { assertNames, check, flag, whole } from '../../shared/rules'
import type { Rule } from '../../shared/rules'
import type { ChannelContext } from '../context/channel-context'
import { DISCONNECTS, DISCONNECTS_RETENTION } from '../context/disconnect-channel'
import type { Disconnect } from '../context/disconnect-channel'
import { byteLength } from '../wire/encode'
import { publicError } from '../wire/public-error'

/** Maximum length of a client key, in bytes of UTF-8. */
const MAX_KEY_BYTES = 512

function textOf(maxLength: number): Rule {
  return {
    test: value => typeof value === 'string' && value !== '' && value.length <= maxLength && value.isWellFormed(),
    expected: `a well-formed string of 1 to ${maxLength} characters`,
  }
}

/** Error that disconnected clients receive by default. */
export const DISCONNECTED: SSEPublicError = publicError(new SSEError('DISCONNECTED', 'You were disconnected.', { statusCode: 401 }))
const RULES = { code: textOf(64), statusCode: whole({ from: 400, to: 599 }), message: textOf(1_000), leave: flag }

export interface SSEDisconnectOptions {
  /** Code of the error that clients receive. @default 'DISCONNECTED' */
  code?: string
  /** Status of that error, and of a poll that is answered with it: 400 to 599. @default 401 */
  statusCode?: number
  /** Text of that error, which users may see. @default 'You were disconnected.' */
  message?: string
  /**
   * Asks clients to reconnect instead, through the handler's checks, for a right that has changed. `code`, `statusCode` and `message` have no
   * effect then.
   * @default false
   */
  leave?: boolean
}

/** Sends a disconnect to all instances. Resolves when the driver has it. Throws `INVALID_OPTION`. */
export async function sendDisconnect({ driver }: Pick<ChannelContext, 'driver'>, clientKey: string, options: SSEDisconnectOptions = {}): Promise<Disconnect> {
  if (typeof clientKey !== 'string' || clientKey === '' || !clientKey.isWellFormed() || byteLength(clientKey) > MAX_KEY_BYTES) {
    throw invalidOption('clientKey', `a well-formed string of 1 to ${MAX_KEY_BYTES} bytes`, clientKey, { statusCode: 400 })
  }
  assertNames(options, RULES)
  for (const [name, rule] of Object.entries(RULES)) {
    const value = options[name as keyof SSEDisconnectOptions]
    if (value !== undefined) check(name, value, rule)
  }
  const { code, statusCode, message, retry } = DISCONNECTED
  const error = { code: options.code ?? code, statusCode: options.statusCode ?? statusCode, message: options.message ?? message, retry }
  const disconnect: Disconnect = { key: clientKey, ...!options.leave && { error } }
  await driver.append(DISCONNECTS, [{ data: JSON.stringify(disconnect) }], DISCONNECTS_RETENTION)
  return disconnect
}

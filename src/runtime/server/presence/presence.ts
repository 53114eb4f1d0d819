import { SSEError, invalidOption, printValue } from '../../shared/errors'
import type { SSEPresenceMember } from '../../shared/presence'
import { assertNames, check, milliseconds } from '../../shared/rules'
import type { Rules } from '../../shared/rules'
import type { SSEContext } from '../context/context'
import { withPresence } from '../drivers/capabilities'
import type { Snapshot } from '../hub/snapshot-reader'
import { platform } from '../lib/platform/platform'
import { encodeData } from '../wire/encode'
import { attendanceOf } from './attendance'
import { assertMemberSize } from './members-snapshot'
import { PresenceLookup } from './presence-lookup'
import type { SSEPresence, SSEPresenceOptions } from './types'

/** Maximum length of a member's ID, in bytes of UTF-8, as of a channel's name. */
const MAX_ID_BYTES = 512

const OPTIONS: Rules<SSEPresenceOptions> = { leaveAfterMs: milliseconds({ from: 0 }) }

/** Implementation of {@link SSEPresence}: a channel of changes, whose readers receive the members first. */
export class Presence<D = unknown> extends PresenceLookup<D, SSEContext> implements SSEPresence<D> {
  readonly leaveAfterMs: number
  readonly #id?: string
  /** The member as JSON. */
  readonly #member?: string

  constructor(context: SSEContext, name: string, member?: SSEPresenceMember<D>, options: SSEPresenceOptions = {}) {
    super(context, name)
    assertNames(options, OPTIONS)
    const { leaveAfterMs } = options
    if (leaveAfterMs !== undefined) check('leaveAfterMs', leaveAfterMs, OPTIONS.leaveAfterMs)
    this.leaveAfterMs = leaveAfterMs ?? context.options.leaveAfterMs
    if (member === undefined) return
    assertMember(member)
    const { id, data } = member
    this.#id = id
    const { maxMessageBytes } = context.options
    // By itself, as the data of a message: at its top, more is refused.
    this.#member = `{"id":${JSON.stringify(id)}${data === undefined ? '' : `,"data":${encodeData(data, maxMessageBytes)}`}}`
    assertMemberSize(this.#member, maxMessageBytes)
  }

  /** Follows the presence for a reader. The returned function ends that. */
  watch(): () => void {
    withPresence(this.context.driver)
    if (!platform.sharesRequests) throw new SSEError('NOT_SUPPORTED', 'Expected a runtime on which the requests of a process share it. `useSSEPresence` cannot serve clients on Cloudflare Workers.', { statusCode: 501, retry: false })
    return attendanceOf(this.context).crowd(this.name).watch()
  }

  /** Makes the member present, if there is one. Resolves when the driver has it, with a function that ends the connection `ms` before it leaves. */
  async enter(leaveAfterMs = this.leaveAfterMs): Promise<((ms: number) => void) | undefined> {
    if (this.#id === undefined) return undefined
    return attendanceOf(this.context).crowd(this.name).enter(this.#id, this.#member!, leaveAfterMs)
  }

  readonly roster = (): Promise<Snapshot> => attendanceOf(this.context).crowd(this.name).roster.snapshot()
}

function assertMember(member: unknown): asserts member is SSEPresenceMember {
  if (typeof member !== 'object' || member === null || Array.isArray(member)) throw invalidOption('member', 'an object `{ id, data }`', member)
  const { id } = member as { id?: unknown }
  const isId = typeof id === 'string' && id !== '' && id.isWellFormed() && new TextEncoder().encode(id).length <= MAX_ID_BYTES
  if (!isId) throw new SSEError('INVALID_OPTION', `Expected \`member.id\` to be a well-formed string of 1 to ${MAX_ID_BYTES} bytes, got ${printValue(id)}.`, { statusCode: 400 })
}

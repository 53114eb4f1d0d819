import { SSEError, invalidOption, printValue } from '../../shared/errors'
import type { SSEPresenceMember } from '../../shared/presence'
import { check, milliseconds } from '../../shared/rules'
import type { SSEContext } from '../context/context'
import { withPresence } from '../drivers/capabilities'
import type { PresenceAnswer } from '../drivers/presence-types'
import type { Snapshot } from '../hub/snapshot-reader'
import { platform } from '../lib/platform/platform'
import { encodeData } from '../wire/encode'
import { attendanceOf } from './attendance'
import { assertMemberSize } from './members-snapshot'
import { PresenceLookup } from './presence-lookup'
import type { SSEPresence, SSEPresenceOptions } from './types'

/** Maximum length of a member's ID, in bytes of UTF-8, as of a channel's name. */
const MAX_ID_BYTES = 512

/** Implementation of {@link SSEPresence}: a channel of changes, whose readers receive the members first. */
export class Presence<D = unknown> extends PresenceLookup<D, SSEContext> implements SSEPresence<D> {
  readonly leaveAfterMs: number
  readonly #id?: string
  /** The member as JSON. */
  readonly #member?: string

  constructor(context: SSEContext, name: string, member?: SSEPresenceMember<D>, { leaveAfterMs }: SSEPresenceOptions = {}) {
    super(context, name)
    if (leaveAfterMs !== undefined) check('leaveAfterMs', leaveAfterMs, milliseconds({ from: 0 }))
    this.leaveAfterMs = leaveAfterMs ?? context.options.leaveAfterMs
    if (member === undefined) return
    assertMember(member)
    const { id, data } = member
    this.#id = id
    this.#member = encodeData(data === undefined ? { id } : { id, data }, context.options.maxMessageBytes)
    assertMemberSize(this.#member, context.options.maxMessageBytes)
  }

  /** A name that this process follows knows of outages of the driver, whose members must not count as lost. */
  protected override async look(list: boolean): Promise<PresenceAnswer> {
    return attendanceOf(this.context).find(this.name)?.look(list) ?? super.look(list)
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
  if (!isId) throw new SSEError('INVALID_OPTION', `Expected \`member.id\` to be a well-formed string of 1 to ${MAX_ID_BYTES} bytes, got ${printValue(id)}.`)
}

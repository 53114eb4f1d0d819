import type { SSEPresenceMember } from '../../shared/presence'
import type { SSEContext } from '../context/context'
import { attendanceOf } from '../presence/attendance'
import { PRESENCE_PREFIX, lookUp } from '../presence/presence-lookup'
import type { DevtoolsPresence } from './snapshot'

/** Maximum names shown, those that were opened first. */
const MAX_NAMES = 50
/** Maximum number of members for which they are read at each snapshot. Beyond it, only their number is. */
const MAX_READ = 200
/** Maximum members of one name that are shown. */
const MAX_MEMBERS = 20
const MAX_DATA = 200

/** Names with a member or a watcher in this process, with the members of all processes. */
export async function readPresences(context: SSEContext): Promise<DevtoolsPresence[]> {
  const crowds = [...attendanceOf(context).crowds].slice(0, MAX_NAMES)
  return Promise.all(crowds.map(async ({ name }) => {
    const { count } = await lookUp(context, name, false)
    const members = count > 0 && count <= MAX_READ ? (await lookUp(context, name, true)).members! : []
    return { name: name.slice(PRESENCE_PREFIX.length), count, members: members.slice(0, MAX_MEMBERS).map(describe) }
  }))
}

function describe(json: string): DevtoolsPresence['members'][number] {
  const { id, data } = JSON.parse(json) as SSEPresenceMember
  const text = data === undefined ? undefined : JSON.stringify(data)
  return { id, data: text && text.length > MAX_DATA ? `${text.slice(0, MAX_DATA)}…` : text }
}

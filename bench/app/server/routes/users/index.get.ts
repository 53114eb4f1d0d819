import { nextUser } from '../../utils/bench-users'

export default defineSSEHandler(() => nextUser(), { from: 'now' })

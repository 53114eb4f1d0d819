import { redisPeers } from '../../../utils/bench-redis'

export default defineEventHandler(event => redisPeers[getRouterParam(event, 'peer')!]!.resume!(event))

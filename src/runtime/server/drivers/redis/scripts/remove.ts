import { PRELUDE } from './prelude'

/**
 * Deletes the log. If it had a lease, records that the lease is over, or its holder would take it again.
 *
 * ARGV: 4 epoch of the next log, used where there was a lease. Returns the server's time (ms).
 */
export const REMOVE = `${PRELUDE}
local refusal = expired()
if refusal then return refusal end
local lease, age = unpack(redis.call('HMGET', meta, 'lease', 'age'))
redis.call('DEL', log, meta, keys)
if lease then
  redis.call('HSET', meta, 'epoch', ARGV[4], 'last', '0', 'mark', '0', 'age', age, 'revoked', '1')
  local time = tonumber(string.match(lease, '^%S+ %S+ (%S+)'))
  remember({ last = 0, lease = { time = time } }, tonumber(age), true)
end
notify('')
return { int(now) }
`

import { PRELUDE } from './prelude'

/**
 * Ends the log.
 *
 * ARGV: 4 candidate epoch, 5 maxAgeMs, 6 closing (JSON), 7 a string unique to this call, by which a retry recognises its own work,
 * 8 token of the lease that must be held ('': none).
 * Returns the server's time (ms), and 1 if this call ended it, else 0. Error: LEASE_LOST.
 */
export const FINISH = `${PRELUDE}
local refusal = expired()
if refusal then return refusal end
local life = open(ARGV[4], ARGV[5])
if ARGV[8] ~= '' and not life.ended and not holds(life, ARGV[8]) then return redis.error_reply('LEASE_LOST') end
if life.closing then return { int(now), redis.call('HGET', meta, 'closer') == ARGV[7] and '1' or '0' } end
redis.call('HSET', meta, 'closing', ARGV[6], 'closer', ARGV[7], 'age', ARGV[5])
redis.call('HDEL', meta, 'lease')
redis.call('PEXPIRE', meta, int(ARGV[5] * 2.2))
notify('')
return { int(now), '1' }
`

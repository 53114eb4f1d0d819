import { PRELUDE } from './prelude'

/**
 * Ends the log.
 *
 * ARGV: 4 candidate epoch, 5 maxMessages, 6 maxAgeMs, 7 maxBytes, 8 which of them the writer names, 9 closing (JSON), 10 a string
 * unique to this call, by which a retry recognises its own closing, 11 token of the lease that must be held ('': none).
 * Returns the server's time (ms), and 1 if this call ended it, else 0. Error: LEASE_LOST.
 */
export const FINISH = `${PRELUDE}
local refusal = expired()
if refusal then return refusal end
local life = open(ARGV[4], ARGV[6])
if ARGV[11] ~= '' and not life.ended and not holds(life, ARGV[11]) then return redis.error_reply('LEASE_LOST') end
if life.closing then return { int(now), redis.call('HGET', meta, 'closer') == ARGV[10] and '1' or '0' } end
retainAndTrim(life, ARGV[5], ARGV[6], ARGV[7], ARGV[8])
redis.call('HSET', meta, 'closing', ARGV[9], 'closer', ARGV[10])
redis.call('HDEL', meta, 'lease')
life.closing = ARGV[9]
remember(life, life.maxAge, true)
notify('')
return { int(now), '1' }
`

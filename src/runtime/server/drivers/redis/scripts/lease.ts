import { PRELUDE } from './prelude'

/**
 * Handles a `LeaseRequest`.
 *
 * ARGV: 4 candidate epoch, for a log that begins now, 5 maxMessages, 6 maxAgeMs, 7 maxBytes, 8 which of them the writer names (these
 * four apply when the lease is taken), 9 `type` of the request, 10 token, 11 `leaseMs`, 12 onLost, 13 `anew` of an acquire, or `reading` of a look (1),
 * 14 `tentative` of an acquire (1).
 * Returns the server's time (ms), whether the token holds the lease (1), and, where there is a log, epoch, first, last, mark of the
 * last, closing ('': open), lease ('': none).
 */
export const LEASE = `${PRELUDE}
local refusal = expired()
if refusal then return refusal end
local asked, token, time, onLost, flag = ARGV[9], ARGV[10], tonumber(ARGV[11]), ARGV[12], ARGV[13] == '1'
if asked ~= 'acquire' and asked ~= 'renew' and redis.call('EXISTS', meta) == 0 then return { int(now), '0' } end
local life = open(ARGV[4], ARGV[6])
local held = holds(life, token)

local function save(till, time, onLost, stopping)
  local text = table.concat({ token, int(till), int(time), onLost, stopping }, ' ')
  redis.call('HSET', meta, 'lease', text)
end

local function take()
  retainAndTrim(life, ARGV[5], ARGV[6], ARGV[7], ARGV[8])
  save(now + time, time, onLost, '0')
  redis.call('HSET', meta, 'read', int(now))
  if ARGV[14] == '1' then redis.call('HSET', meta, 'tentative', token .. ' ' .. int(life.last)) end
  notify('')
  held = true
end

if asked == 'acquire' and not held then
  if flag and life.closing then
    local own = life.own
    redis.call('DEL', log, meta, keys)
    life = open(ARGV[4], ARGV[6])
    life.own = own
    if own then redis.call('HSET', meta, 'own', own) end
  end
  local lease = life.lease
  if not life.ended and (not lease or now > lease.till and lease.onLost == 'restart') then take() end
elseif asked == 'renew' then
  -- Where Redis has lost the log and its lease, a new log begins, and its producer continues.
  if held then
    save(now + time, life.lease.time, life.lease.onLost, life.lease.stopping)
    redis.call('HDEL', meta, 'tentative')
  elseif not life.lease and not life.ended and not redis.call('HGET', meta, 'revoked') then take() end
elseif asked == 'release' and held then
  save(now - 1, life.lease.time, life.lease.onLost, life.lease.stopping)
  notify('')
elseif asked == 'stop' and life.lease and not life.closing then
  token = life.lease.token
  save(life.lease.till, life.lease.time, 'fail', '1')
  notify('')
elseif asked == 'look' and flag then
  redis.call('HSET', meta, 'read', int(now))
end
life = open(ARGV[4], ARGV[6])
remember(life, life.age)
return { int(now), held and asked ~= 'release' and '1' or '0', life.epoch, int(life.first), int(life.last), life.mark, life.closing or '', leaseOf(life) }
`

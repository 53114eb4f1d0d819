import { MAX_DUE, MAX_GRACES } from '../../presence-types'
import { PRELUDE } from './prelude'
import { ADD_LINES } from './add-lines'

/**
 * Performs a `PresenceRequest`: changes the records of members, appends the changes to the log, and publishes a notice.
 *
 * Keys after those of the prelude, in the same slot:
 *
 *   4 members  hash: ID of a member → `<holders, separated by commas> <the member as JSON>`
 *   5 due      sorted set, by the server's time in ms: `<holder>`, the end of its lease, and `<holder> <id>`, the end of a hold.
 *              Eighths of a millisecond count how often it got more time since it was last renewed
 *
 * Fields of the meta data: `present`, the number of members; `seen`, the time of the last step; `doubt`, the time at which the leases end
 * that got more time, and were not renewed since. If `present` differs from the hash, records were lost: the rest is deleted, and the log
 * begins a new epoch, so that readers load the members again.
 *
 * ARGV: 4 candidate epoch, 5 maxMessages, 6 maxAgeMs, 7 maxBytes, 8 which of them the writer names, 9 holder ('': none), 10 `leaseMs` ('':
 * unchanged), 11 `graceMs`, 12 whether to list the members (1), 13 maximum length of a notice that carries its messages, 14 number of holds,
 * then of each ID, member and `keep` (1), then of each release ID and `afterMs`.
 *
 * Returns the server's time (ms), the error if the notice was refused ('': it was not), epoch, last offset, whether the holder had a lease
 * (1), the number of members, ms until something is due ('': nothing is), ms until the members are certain ('': they are), and the members.
 */
export const PRESENCE = `${PRELUDE}${ADD_LINES}
local members, due = KEYS[4], KEYS[5]
local refusal = expired()
if refusal then return refusal end
local life = open(ARGV[4], ARGV[6])
retain(life, ARGV[5], ARGV[6], ARGV[7], ARGV[8])
local holder, time, grace = ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11])
local fields = redis.call('HMGET', meta, 'present', 'seen', 'doubt')
local present, seen, doubt = tonumber(fields[1] or 0), tonumber(fields[2] or 0), tonumber(fields[3] or 0)
local count = redis.call('HLEN', members)
if count ~= present or count > 0 and redis.call('EXISTS', due) == 0 then
  life.epoch = nextEpoch(life.epoch, ARGV[4] .. 'p')
  redis.call('HSET', meta, 'epoch', life.epoch)
  redis.call('DEL', members, due)
  present = -1
  notify('')
end

local lines = {}
local function say(line) lines[#lines + 1] = line end

local function drop(id, who)
  local holders, member = string.match(redis.call('HGET', members, id) or '', '^(%S+) (.*)$')
  if not holders then return end
  local rest = {}
  for one in string.gmatch(holders, '[^,]+') do
    if one ~= who then rest[#rest + 1] = one end
  end
  if #rest > 0 then redis.call('HSET', members, id, table.concat(rest, ',') .. ' ' .. member)
  else
    redis.call('HDEL', members, id)
    say('{"type":"leave","id":' .. cjson.encode(id) .. '}')
  end
end

local lease = holder ~= '' and redis.call('ZSCORE', due, holder)
local known = lease and tonumber(lease) > now
-- Redis does not notice its own outages: processes were silent if they could not reach it, and if they are gone.
if grace > 0 and now - seen >= grace then
  local ends = redis.call('ZRANGEBYSCORE', due, '-inf', int(now + grace), 'WITHSCORES')
  for i = 1, #ends, 2 do
    local graces = tonumber(ends[i + 1]) % 1 * 8
    local isLease = not string.find(ends[i], ' ', 1, true)
    if graces < (isLease and ${MAX_GRACES} or 1) then
      redis.call('ZADD', due, string.format('%.3f', now + grace + (graces + 1) / 8), ends[i])
      if isLease then doubt = now + grace + 1 end
    end
  end
  if doubt > now then redis.call('HSET', meta, 'doubt', int(doubt)) end
end
if time and time > 0 then redis.call('ZADD', due, int(now + time), holder)
elseif time then redis.call('ZREM', due, holder) end

local at = 15
for _ = 1, tonumber(ARGV[14]) do
  local id, member, keep = ARGV[at], ARGV[at + 1], ARGV[at + 2] == '1'
  at = at + 3
  local holders, before = string.match(redis.call('HGET', members, id) or '', '^(%S+) (.*)$')
  if not holders then
    redis.call('HSET', members, id, holder .. ' ' .. member)
    say('{"type":"join","member":' .. member .. '}')
  else
    local is = string.find(',' .. holders .. ',', ',' .. holder .. ',', 1, true)
    if keep then member = before end
    if not is or member ~= before then redis.call('HSET', members, id, (is and holders or holders .. ',' .. holder) .. ' ' .. member) end
    if member ~= before then say('{"type":"update","member":' .. member .. '}') end
  end
  redis.call('ZREM', due, holder .. ' ' .. id)
end

for i = at, #ARGV, 2 do
  local id, after = ARGV[i], tonumber(ARGV[i + 1])
  local holders = string.match(redis.call('HGET', members, id) or '', '^%S+')
  if holders and string.find(',' .. holders .. ',', ',' .. holder .. ',', 1, true) then
    if after > 0 then redis.call('ZADD', due, int(now + after), holder .. ' ' .. id)
    else
      redis.call('ZREM', due, holder .. ' ' .. id)
      drop(id, holder)
    end
  end
end

-- PRESENCES sets "most" where several steps share one call.
local left = ARGV.most or ${MAX_DUE}
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', int(now), 'LIMIT', 0, left)) do
  if left <= 0 then break end
  local who, id = string.match(entry, '^(%S+) (.*)$')
  if id then
    drop(id, who)
    redis.call('ZREM', due, entry)
    left = left - 1
  else
    -- This holder is lost. Holds with an end of their own keep it.
    local all, rest = redis.call('HGETALL', members), false
    for i = 1, #all, 2 do
      local holders = string.match(all[i + 1], '^%S+')
      if string.find(',' .. holders .. ',', ',' .. entry .. ',', 1, true) and not redis.call('ZSCORE', due, entry .. ' ' .. all[i]) then
        if left <= 0 then
          rest = true
          break
        end
        drop(all[i], entry)
        left = left - 1
      end
    end
    if not rest then redis.call('ZREM', due, entry) end
  end
end

local refused = ''
if #lines > 0 then
  local first, follows, mark = life.last + 1, life.mark, int(micros)
  local fresh = life.first == first
  -- A stream that is ahead of its meta data belongs to another life of the log.
  if not fresh and redis.call('XRANGE', log, int(first), '+', 'COUNT', 1)[1] then
    redis.call('DEL', log, keys)
    life.epoch, life.first, life.bytes, fresh = nextEpoch(life.epoch, ARGV[4]), first, nil, true
    redis.call('HSET', meta, 'epoch', life.epoch)
  end
  local failed = addLines(life, lines, 1, '-' .. mark)
  if failed then return failed end
  trim(life)
  life.mark = mark
  redis.call('HSET', meta, 'first', int(life.first), 'last', int(life.last), 'mark', mark, 'largest', life.largest)
  saveCount(life)
  local notice, size = life.epoch .. ' ' .. int(first) .. ' ' .. follows .. ' ' .. mark .. ' 1', 0
  for _, line in ipairs(lines) do size = size + #line end
  if size <= tonumber(ARGV[13]) then notice = notice .. '\\n' .. table.concat(lines, '\\n') end
  refused = notify(notice)
  if fresh or life.age ~= life.maxAge or now - life.touched >= life.maxAge / 10 then touch(life) end
end
count = redis.call('HLEN', members)
redis.call('HSET', meta, 'present', int(count), 'seen', int(now))
remember(life, life.age)
-- The records outlive the meta data.
for _, key in ipairs({ members, due }) do redis.call('PEXPIRE', key, int(lifeMs(life, life.age) * 2)) end

local nextDue = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
local unsure = ''
if doubt > now then
  for _, entry in ipairs(redis.call('ZRANGEBYSCORE', due, '(' .. int(doubt - 1), '(' .. int(doubt))) do
    if not string.find(entry, ' ', 1, true) then unsure = int(doubt - now) end
  end
end
local answer = { int(now), refused, life.epoch, int(life.last), known and '1' or '0', int(count), nextDue and int(math.max(0, tonumber(nextDue) - now)) or '', unsure }
if ARGV[12] == '1' then
  for _, value in ipairs(redis.call('HVALS', members)) do answer[#answer + 1] = string.match(value, '^%S+ (.*)$') end
end
return answer
`

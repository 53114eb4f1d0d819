import { ADD_LINES } from './add-lines'
import { PRELUDE } from './prelude'

/**
 * Appends all of the messages, or none, and publishes a notice.
 *
 * ARGV:
 *   4 candidate epoch, for a log that begins now
 *   5 maxMessages, 6 maxAgeMs, 7 maxBytes, 8 which of them the writer names ('110': the first two)
 *   9 number of the writer's append, 10 how long the writer may repeat it, ms (with a lease, at least twice the lease's duration)
 *   11 whether the notice carries the messages (1) or only wakes subscribers (0)
 *   12-14 epoch, offset and mark of the writer's last answer ('', 0, '': none)
 *   15 token of the lease that must be held ('': none)
 *   16 fields of each message that follows: 1 (data), or 3 (data, event, key; '': none)
 *
 * Returns the server's time (ms), the error if the notice was refused ('': it was not), epoch, last offset, its mark, and the offsets:
 * only the first if all messages were added, else each.
 * Errors: CHANNEL_ENDED, LEASE_LOST.
 *
 * A notice is `<epoch> <first offset> <mark before it> <mark> <fields>` and, where it carries the messages, a line for each field
 * (data, or data and event): neither JSON nor names of events have line breaks.
 */
export const APPEND = `${PRELUDE}${ADD_LINES}
local candidate, sequence, fields = ARGV[4], ARGV[9], tonumber(ARGV[16])

local before = redis.call('GET', KEYS[4])
if before then
  local number, rest = string.match(before, '^(%S+) (.*)$')
  -- A repeated append, whose answer was lost. That it was done stays true after the deadline.
  if number == sequence then
    local answer = { int(now), '' }
    for field in string.gmatch(rest, '%S+') do answer[#answer + 1] = field end
    return answer
  end
end
local refusal = expired()
if refusal then return refusal end
local life = open(candidate, ARGV[6])
checkNotRolledBack(life, ARGV[12], tonumber(ARGV[13]), ARGV[14], candidate)
if ARGV[15] ~= '' and not life.ended and not holds(life, ARGV[15]) then return redis.error_reply('LEASE_LOST') end
if life.closing then return redis.error_reply('CHANNEL_ENDED') end
retain(life, ARGV[5], ARGV[6], ARGV[7], ARGV[8])

local first, follows, mark = life.last + 1, life.mark, int(micros)
local suffix = '-' .. mark

-- Whether the keys have no expiry yet.
local fresh = life.first == first

-- A stream that is ahead of its meta data belongs to another life of the log.
if not fresh and redis.call('XRANGE', log, int(first), '+', 'COUNT', 1)[1] then
  redis.call('DEL', log, keys)
  life.epoch, life.first, life.bytes, fresh = nextEpoch(life.epoch, candidate), first, nil, true
  redis.call('HSET', meta, 'epoch', life.epoch)
end

local lines, offsets, repeated, keyed, refused = {}, {}, false, false, ''
if fields == 1 then
  local failed = addLines(life, ARGV, 17, suffix)
  if failed then return failed end
else
  for i = 17, #ARGV, 3 do
    local data, event, key = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local offset = key ~= '' and redis.call('HGET', keys, key)
    -- An offset before the oldest message kept: Redis evicted the log, and not its keys.
    if offset and tonumber(offset) >= life.first then
      repeated = true
    else
      local failed = add(life, suffix, 1, data, event, key)
      if failed then return failed end
      offset = int(life.last)
      if key ~= '' then
        redis.call('HSET', keys, key, offset)
        keyed = true
      end
      lines[#lines + 1] = data
      lines[#lines + 1] = event
    end
    offsets[#offsets + 1] = offset
  end
end
if not repeated then offsets = { int(first) } end

local firstKept = life.first
trim(life)
if life.last >= first then
  life.mark = mark
  redis.call('HSET', meta, 'first', int(life.first), 'last', int(life.last), 'mark', mark, 'largest', life.largest)
  saveCount(life)
  local head = life.epoch .. ' ' .. int(first) .. ' ' .. follows .. ' ' .. mark .. ' ' .. math.min(fields, 2)
  if ARGV[11] == '1' then
    head = head .. '\\n' .. (fields == 1 and table.concat(ARGV, '\\n', 17) or table.concat(lines, '\\n'))
  end
  refused = notify(head)
elseif life.first ~= firstKept then
  saveFirst(life)
end
if keyed then redis.call('PEXPIRE', keys, int(life.maxAge * 1.1)) end
if life.last >= first and fresh or life.age ~= life.maxAge or now - life.touched >= life.maxAge / 10 then touch(life) end
local said = { life.epoch, int(life.last), life.mark }
for _, offset in ipairs(offsets) do said[#said + 1] = offset end
-- The holder of a lease may repeat its append for as long as it holds the lease.
local askedFor = math.max(tonumber(ARGV[10]), ARGV[15] ~= '' and life.lease and life.lease.time * 2 or 0)
redis.call('SET', KEYS[4], sequence .. ' ' .. table.concat(said, ' '), 'PX', int(askedFor))
local answer = { int(now), refused }
for _, field in ipairs(said) do answer[#answer + 1] = field end
return answer
`

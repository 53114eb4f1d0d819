import { PRELUDE } from './prelude'

/** About what one node of a stream holds, as Redis is by default (`stream-node-max-bytes`). */
const ENTRY_BYTES = 4_096

/**
 * Appends all of the messages, or none, and publishes a notice.
 *
 * ARGV:
 *   4 candidate epoch, should the log begin now
 *   5 maxMessages, 6 maxAgeMs
 *   7 number of the writer's append, 8 how long it may ask again, ms (with a lease, at least twice the lease's duration)
 *   9 whether the notice carries the messages (1) or only wakes subscribers (0)
 *   10-12 epoch, offset and mark of the last answer that the writer got ('', 0, '': none)
 *   13 token of the lease that must be held ('': none)
 *   14 fields of each message that follows: 1 (data), or 3 (data, event, key; '': none)
 *
 * Returns the server's time (ms), why the notice was refused ('': it was not), epoch, last offset, its mark, and the offsets: only the
 * first where all messages were added, else each.
 * Errors: CHANNEL_ENDED, LEASE_LOST.
 *
 * A notice is `<epoch> <first offset> <mark before it> <mark> <fields>` and, where it carries the messages, a line for each field
 * (data, or data and event): neither JSON nor names of events have line breaks.
 */
export const APPEND = `${PRELUDE}
local candidate, maxMessages, age, sequence, fields = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[14])

-- Renews the expiry of all keys, which go when the newest message is too old. Appends do this only now and then, so that the expiry
-- has a tenth to spare; readers drop what is too old before they read.
local function touch(life, age)
  dropOld(life, age)
  redis.call('HSET', meta, 'touched', int(now))
  redis.call('PEXPIRE', log, int(age * 1.1))
  redis.call('PEXPIRE', keys, int(age * 1.1))
  remember(life, age)
end

local before = redis.call('GET', KEYS[4])
if before then
  local number, rest = string.match(before, '^(%S+) (.*)$')
  -- The same append asked again, because its answer was lost. That it was done is true after the deadline as well.
  if number == sequence then
    local answer = { int(now), '' }
    for field in string.gmatch(rest, '%S+') do answer[#answer + 1] = field end
    return answer
  end
end
local refusal = expired()
if refusal then return refusal end
local life = open(candidate, ARGV[6])
checkNotRolledBack(life, ARGV[10], tonumber(ARGV[11]), ARGV[12], candidate)
if ARGV[13] ~= '' and not life.ended and not holds(life, ARGV[13]) then return redis.error_reply('LEASE_LOST') end
if life.closing then return redis.error_reply('CHANNEL_ENDED') end

local first, follows, mark = life.last + 1, life.mark, int(micros)
local suffix = '-' .. mark

-- Its keys have no expiry yet.
local fresh = life.first == first

-- A stream that is ahead of its meta data belongs to another life of the log.
if not fresh and redis.call('XRANGE', log, int(first), '+', 'COUNT', 1)[1] then
  redis.call('DEL', log, keys)
  life.epoch, life.first, fresh = nextEpoch(life.epoch, candidate), first, true
  redis.call('HSET', meta, 'epoch', life.epoch)
end

local function add(count, data, event, key)
  local offset, added = int(life.last + count)
  if count > 1 then added = redis.pcall('XADD', log, offset .. suffix, count, data)
  elseif event == '' and key == '' then added = redis.pcall('XADD', log, offset .. suffix, 'd', data)
  elseif key == '' then added = redis.pcall('XADD', log, offset .. suffix, 'd', data, 'e', event)
  elseif event == '' then added = redis.pcall('XADD', log, offset .. suffix, 'd', data, 'k', key)
  else added = redis.pcall('XADD', log, offset .. suffix, 'd', data, 'e', event, 'k', key) end
  if type(added) == 'table' then return added end
  life.last, life.largest = life.last + count, math.max(life.largest, #data)
end

local lines, offsets, repeated, keyed, refused = {}, {}, false, false, ''
if fields == 1 then
  -- Several to an entry, up to about a node of the stream: whoever reads from the middle of an entry gets all of it.
  local from, last = 15, #ARGV
  while from <= last do
    local to, size = from, #ARGV[from]
    while to < last and size + #ARGV[to + 1] < ${ENTRY_BYTES} do
      to = to + 1
      size = size + 1 + #ARGV[to]
    end
    local failed = add(to - from + 1, from == to and ARGV[from] or table.concat(ARGV, '\\n', from, to), '', '')
    if failed then return failed end
    from = to + 1
  end
else
  for i = 15, #ARGV, 3 do
    local data, event, key = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local offset = key ~= '' and redis.call('HGET', keys, key)
    -- An offset before the oldest message kept: the log was evicted, and its keys were not.
    if offset and tonumber(offset) >= life.first then
      repeated = true
    else
      local failed = add(1, data, event, key)
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

if life.last >= first then
  life.mark = mark
  dropBefore(life, life.last - maxMessages + 1)
  redis.call('HSET', meta, 'first', int(life.first), 'last', int(life.last), 'mark', mark, 'age', ARGV[6], 'largest', life.largest)
  local head = life.epoch .. ' ' .. int(first) .. ' ' .. follows .. ' ' .. mark .. ' ' .. math.min(fields, 2)
  if ARGV[9] == '1' then
    head = head .. '\\n' .. (fields == 1 and table.concat(ARGV, '\\n', 15) or table.concat(lines, '\\n'))
  end
  refused = notify(head)
end
if keyed then redis.call('PEXPIRE', keys, int(age * 1.1)) end
if life.last >= first and fresh or life.age ~= age or now - life.touched >= age / 10 then touch(life, age) end
local said = { life.epoch, int(life.last), life.mark }
for _, offset in ipairs(offsets) do said[#said + 1] = offset end
-- The holder of a lease may ask again for as long as it holds it.
local askedFor = math.max(tonumber(ARGV[8]), ARGV[13] ~= '' and life.lease and life.lease.time * 2 or 0)
redis.call('SET', KEYS[4], sequence .. ' ' .. table.concat(said, ' '), 'PX', int(askedFor))
local answer = { int(now), refused }
for _, field in ipairs(said) do answer[#answer + 1] = field end
return answer
`

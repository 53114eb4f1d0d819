/**
 * What Redis runs for a channel, each as one atomic script: two commands in place of one let a second publisher in
 * between, and readers would see a later message first.
 *
 * KEYS of every script, in one slot (the channel's name is their hash tag):
 *   1 log   stream; entry `<offset>-<mark>` with `d` (data), and if given `e` (event) and `k` (key)
 *   2 meta  hash: `epoch`, `last` (offset), `mark` (of the last), `age` (ms), `closing` (JSON) once it has ended
 *   3 keys  hash: key of a message → its offset, while that is kept
 *   4       APPEND only: the writer's last append, for as long as it may ask again what became of it
 *
 * The first ARGV of every script: 1 live channel, 2 publish command (`SPUBLISH` in a cluster), 3 deadline (ms; not looked at by
 * READ). A deadline that is over: error `EXPIRED <server's time in ms>`.
 *
 * Offsets have no holes, so that the oldest one kept is `last - XLEN + 1`: no field can disagree with the stream, also
 * when Redis has evicted one of the two.
 *
 * A mark is the server's time of the append in microseconds: how old a message is, and whether it is the one that was
 * seen at this offset before a failover.
 */

const PRELUDE = `
local log, meta, keys = KEYS[1], KEYS[2], KEYS[3]
local live, publish, deadline = ARGV[1], ARGV[2], tonumber(ARGV[3])
local clock = redis.call('TIME')
local micros = clock[1] * 1000000 + clock[2]
local now = math.floor(micros / 1000)

local function int(number) return string.format('%.0f', number) end

local function markOf(entry) return string.match(entry[1], '%d+$') end

-- The life of the log; a new one begins where there is none, or where the meta data was lost.
local function open(candidate, age)
  local found = redis.call('HMGET', meta, 'epoch', 'last', 'mark', 'closing', 'age')
  if not found[1] then
    redis.call('DEL', log, keys)
    redis.call('HSET', meta, 'epoch', candidate, 'last', '0', 'mark', '0', 'age', age)
    found = { candidate, '0', '0', false, age }
  end
  return { epoch = found[1], last = tonumber(found[2]), mark = found[3], closing = found[4], age = tonumber(found[5]) }
end

-- A failover, or a restart, may have lost what somebody has certainly seen: the same offsets must not come to mean other
-- messages, and so another epoch begins, and whoever reads is told.
local function notBack(life, epoch, offset, mark, candidate)
  if life.epoch ~= epoch then return end
  if offset < life.last then
    local kept = redis.call('XRANGE', log, int(offset), int(offset))[1]
    -- Trimmed meanwhile: there is nothing to compare.
    if not kept or mark == '' or markOf(kept) == mark then return end
  elseif offset == life.last and (mark == '' or mark == life.mark) then
    return
  end
  life.epoch = candidate
  redis.call('HSET', meta, 'epoch', candidate)
  redis.call(publish, live, '')
end

-- Removes the oldest count entries, and the keys that named them.
local function drop(count)
  if count <= 0 then return end
  local keep = math.max(0, redis.call('XLEN', log) - count)
  if redis.call('EXISTS', keys) == 1 then
    for _, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', count)) do
      local fields = entry[2]
      for i = 1, #fields, 2 do
        if fields[i] == 'k' then redis.call('HDEL', keys, fields[i + 1]) end
      end
    end
  end
  redis.call('XTRIM', log, 'MAXLEN', '=', keep)
end

local function dropOld(age)
  local oldest = micros - age * 1000
  local count = 1
  while true do
    local part = redis.call('XRANGE', log, '-', '+', 'COUNT', count)
    local old = 0
    for _, entry in ipairs(part) do
      if tonumber(markOf(entry)) >= oldest then break end
      old = old + 1
    end
    drop(old)
    if old < #part or old == 0 then return end
    count = 64
  end
end

-- Entries go when the youngest is too old; the epoch and the end are remembered twice as long.
local function expire(age)
  redis.call('PEXPIRE', log, int(age))
  redis.call('PEXPIRE', keys, int(age))
  redis.call('PEXPIRE', meta, int(age * 2))
end

-- Whoever asked has given up: what was told to have failed must not happen now.
local function late()
  return now > deadline and redis.error_reply('EXPIRED ' .. int(now))
end
`

/**
 * ARGV: 4 candidate epoch, 5 maxMessages, 6 maxAgeMs, 7 number of the writer's append, 8 how long it may ask again (ms),
 * 9 payload for subscribers ('': too large), 10-12 epoch, offset and mark of the last answer that the writer had ('', 0, '':
 * none), then event, data and key of each message ('': none).
 * Returns the server's time (ms), epoch, last offset, its mark, and the offsets. Error: CHANNEL_ENDED.
 */
export const APPEND = `${PRELUDE}
local candidate, maxMessages, age, sequence, payload = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[9]
local expired = late()
if expired then return expired end

local life = open(candidate, ARGV[6])
local before = redis.call('GET', KEYS[4])
if before then
  local number, rest = string.match(before, '^(%S+) (.*)$')
  -- The same append once more, because its answer was lost.
  if number == sequence then
    local answer = { int(now), life.epoch }
    for field in string.gmatch(rest, '%S+') do answer[#answer + 1] = field end
    return answer
  end
end
notBack(life, ARGV[10], tonumber(ARGV[11]), ARGV[12], candidate)
if life.closing then return redis.error_reply('CHANNEL_ENDED') end

dropOld(age)
local first, follows, mark, offsets, repeated = life.last + 1, life.mark, int(micros), {}, false
for i = 13, #ARGV, 3 do
  local event, data, key = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local known = key ~= '' and redis.call('HGET', keys, key)
  if known then
    repeated = true
    offsets[#offsets + 1] = known
  else
    life.last, life.mark = life.last + 1, mark
    local offset = int(life.last)
    local entry = { 'XADD', log, offset .. '-' .. mark, 'd', data }
    if event ~= '' then entry[#entry + 1] = 'e'; entry[#entry + 1] = event end
    if key ~= '' then
      entry[#entry + 1] = 'k'; entry[#entry + 1] = key
      redis.call('HSET', keys, key, offset)
    end
    local added = redis.pcall(unpack(entry))
    if added.err then
      if not string.find(added.err, 'smaller') then return added end
      -- A stream that is ahead of its meta data is not of this life.
      redis.call('DEL', log, keys)
      life.epoch = candidate
      redis.call('HSET', meta, 'epoch', candidate)
      redis.call(unpack(entry))
      if key ~= '' then redis.call('HSET', keys, key, offset) end
    end
    offsets[#offsets + 1] = offset
  end
end
drop(redis.call('XLEN', log) - maxMessages)
redis.call('HSET', meta, 'last', int(life.last), 'mark', life.mark, 'age', ARGV[6])
redis.call('SET', KEYS[4], sequence .. ' ' .. int(life.last) .. ' ' .. life.mark .. ' ' .. table.concat(offsets, ' '), 'PX', ARGV[8])
expire(age)
if life.last >= first then
  if repeated then payload = '' end
  redis.call(publish, live, life.epoch .. ' ' .. int(first) .. ' ' .. follows .. ' ' .. mark .. ' ' .. payload)
end
local answer = { int(now), life.epoch, int(life.last), life.mark }
for _, offset in ipairs(offsets) do answer[#answer + 1] = offset end
return answer
`

/**
 * ARGV: 4 candidate epoch, 5 maxAgeMs, 6 closing (JSON).
 * Returns the server's time (ms), and 1 if it ended now, else 0.
 */
export const FINISH = `${PRELUDE}
local expired = late()
if expired then return expired end
local life = open(ARGV[4], ARGV[5])
if life.closing then return { int(now), '0' } end
redis.call('HSET', meta, 'closing', ARGV[6], 'age', ARGV[5])
redis.call('PEXPIRE', meta, int(ARGV[5] * 2))
redis.call(publish, live, '')
return { int(now), '1' }
`

/**
 * ARGV: 4 candidate epoch, 5 maxAgeMs of a log that begins now, 6 after, 7 messages, 8 bytes, 9-10 epoch and mark of the message
 * at "after" as it was seen for certain ('': not certain).
 * Returns epoch, first, last, mark of the last, closing ('': open), and id, event ('': none), data of each entry.
 */
export const READ = `${PRELUDE}
local life = open(ARGV[4], ARGV[5])
local after, messages, bytes = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
notBack(life, ARGV[9], after, ARGV[10], ARGV[4])
dropOld(life.age)
redis.call('PEXPIRE', meta, int(life.age * 2))
local answer = { life.epoch, int(life.last - redis.call('XLEN', log) + 1), int(life.last), life.mark, life.closing or '' }
while messages > 0 and bytes > 0 and after < life.last do
  local part = redis.call('XRANGE', log, int(after + 1) .. '-0', '+', 'COUNT', math.min(messages, 100))
  if #part == 0 then break end
  for _, entry in ipairs(part) do
    if messages <= 0 or bytes <= 0 then break end
    local fields, event = entry[2], ''
    for i = 3, #fields, 2 do
      if fields[i] == 'e' then event = fields[i + 1] end
    end
    answer[#answer + 1] = entry[1]
    answer[#answer + 1] = event
    answer[#answer + 1] = fields[2]
    after, messages, bytes = tonumber(string.match(entry[1], '^%d+')), messages - 1, bytes - #fields[2]
  end
end
return answer
`

/** Returns the server's time (ms). */
export const REMOVE = `${PRELUDE}
local expired = late()
if expired then return expired end
redis.call('DEL', log, meta, keys)
redis.call(publish, live, '')
return { int(now) }
`

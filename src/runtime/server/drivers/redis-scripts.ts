/**
 * What Redis runs for a channel, each as one atomic script: two commands in place of one let a second publisher in
 * between, and readers would see a later message first.
 *
 * KEYS of every script, in one slot (the channel's name is their hash tag):
 *   1 log   stream; entry `<offset>-0` with `t` (ms), `d` (data), and if given `e` (event) and `k` (key)
 *   2 meta  hash: `epoch`, `last` (offset), `age` (ms), `closing` (JSON) once it has ended, `w:<writer>` (its last append)
 *   3 keys  hash: key of a message → its offset, while that is kept
 *
 * Offsets have no holes, so that the oldest one kept is `last - XLEN + 1`: no field can disagree with the stream, also
 * when Redis has evicted one of the two.
 */

const PRELUDE = `
local log, meta, keys = KEYS[1], KEYS[2], KEYS[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function int(number) return string.format('%.0f', number) end

-- The life of the log; a new one begins where there is none, or where the meta data was lost.
local function open(candidate, age)
  local found = redis.call('HMGET', meta, 'epoch', 'last', 'closing', 'age')
  if not found[1] then
    redis.call('DEL', log, keys)
    redis.call('HSET', meta, 'epoch', candidate, 'last', '0', 'age', age)
    found = { candidate, '0', false, age }
  end
  return { epoch = found[1], last = tonumber(found[2]), closing = found[3], age = tonumber(found[4]) }
end

-- A failover, or a restart, may have lost what somebody has certainly seen: the same offsets must not come to mean other
-- messages, and so another epoch begins.
local function notBack(life, epoch, offset, candidate)
  if life.epoch ~= epoch or life.last >= offset then return end
  life.epoch = candidate
  redis.call('HSET', meta, 'epoch', candidate)
end

-- Removes the oldest count entries, and the keys that named them.
local function drop(count)
  if count <= 0 then return end
  local named = redis.call('EXISTS', keys) == 1
  while count > 0 do
    local part = redis.call('XRANGE', log, '-', '+', 'COUNT', math.min(count, 256))
    if #part == 0 then return end
    if named then
      for _, entry in ipairs(part) do
        local fields = entry[2]
        for i = 1, #fields, 2 do
          if fields[i] == 'k' then redis.call('HDEL', keys, fields[i + 1]) end
        end
      end
    end
    redis.call('XTRIM', log, 'MAXLEN', '=', redis.call('XLEN', log) - #part)
    count = count - #part
  end
end

local function dropOld(age)
  while true do
    local part = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)
    if #part == 0 or tonumber(part[1][2][2]) + age >= now then return end
    part = redis.call('XRANGE', log, '-', '+', 'COUNT', 64)
    local old = 0
    for _, entry in ipairs(part) do
      if tonumber(entry[2][2]) + age >= now then break end
      old = old + 1
    end
    drop(old)
  end
end

-- Entries go when the youngest is too old; the epoch and the end are remembered twice as long.
local function expire(age)
  redis.call('PEXPIRE', log, int(age))
  redis.call('PEXPIRE', keys, int(age))
  redis.call('PEXPIRE', meta, int(age * 2))
end

local function state(life)
  return { life.epoch, int(life.last - redis.call('XLEN', log) + 1), int(life.last), life.closing or '' }
end
`

/**
 * ARGV: candidate epoch, maxMessages, maxAgeMs, live channel, publish command, writer, sequence number, deadline (ms, 0: none),
 * payload for subscribers ('': too large), epoch and offset of the last answer that the caller had ('' and 0: none), then event,
 * data and key of each message ('': none).
 * Returns the server's time, the epoch, and the offsets. Errors: CHANNEL_ENDED, EXPIRED.
 */
export const APPEND = `${PRELUDE}
local maxMessages, age, writer, sequence, deadline, payload = tonumber(ARGV[2]), tonumber(ARGV[3]), 'w:' .. ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9]
-- Whoever asked has given up: what was told to have failed must not happen now.
if deadline > 0 and now > deadline then return redis.error_reply('EXPIRED') end

local life = open(ARGV[1], ARGV[3])
local seen = redis.call('HGET', meta, writer)
if seen then
  local first, rest = string.match(seen, '^(%S+) (.*)$')
  -- The same append once more, because its answer was lost.
  if first == sequence then
    local answer = { int(now), life.epoch }
    for offset in string.gmatch(rest, '%d+') do answer[#answer + 1] = offset end
    return answer
  end
end
notBack(life, ARGV[10], tonumber(ARGV[11]), ARGV[1])
if life.closing then return redis.error_reply('CHANNEL_ENDED') end

dropOld(age)
local answer, before = { int(now), life.epoch }, life.last
local repeated = false
for i = 12, #ARGV, 3 do
  local event, data, key = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local known = key ~= '' and redis.call('HGET', keys, key)
  if known then
    repeated = true
    answer[#answer + 1] = known
  else
    life.last = life.last + 1
    local offset = int(life.last)
    local entry = { 'XADD', log, offset .. '-0', 't', int(now), 'd', data }
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
      life.epoch = ARGV[1]
      answer[2] = life.epoch
      redis.call('HSET', meta, 'epoch', life.epoch)
      redis.call(unpack(entry))
    end
    answer[#answer + 1] = offset
  end
end
drop(redis.call('XLEN', log) - maxMessages)
redis.call('HSET', meta, 'last', int(life.last), 'age', ARGV[3], writer, sequence .. ' ' .. table.concat(answer, ' ', 3))
expire(age)
if life.last > before then
  if repeated then payload = '' end
  redis.call(ARGV[5], ARGV[4], life.epoch .. ' ' .. int(before + 1) .. ' ' .. payload)
end
return answer
`

/** ARGV: candidate epoch, maxAgeMs, live channel, publish command, closing (JSON). Returns 1 if it ended now, else 0. */
export const FINISH = `${PRELUDE}
local life = open(ARGV[1], ARGV[2])
if life.closing then return 0 end
redis.call('HSET', meta, 'closing', ARGV[5], 'age', ARGV[2])
redis.call('PEXPIRE', meta, int(ARGV[2] * 2))
redis.call(ARGV[4], ARGV[3], '')
return 1
`

/**
 * ARGV: candidate epoch, maxAgeMs of a log that begins now, after, messages, bytes, and the epoch in which `after` was seen
 * for certain ('': not certain). Returns epoch, first, last, closing, and offset, event,
 * data of each entry.
 */
export const READ = `${PRELUDE}
local life = open(ARGV[1], ARGV[2])
local after, messages, bytes = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
notBack(life, ARGV[6], after, ARGV[1])
dropOld(life.age)
redis.call('PEXPIRE', meta, int(life.age * 2))
local answer = state(life)
while messages > 0 and bytes > 0 and after < life.last do
  local part = redis.call('XRANGE', log, int(after + 1) .. '-0', '+', 'COUNT', math.min(messages, 100))
  if #part == 0 then break end
  for _, entry in ipairs(part) do
    if messages <= 0 or bytes <= 0 then break end
    local offset = string.match(entry[1], '^%d+')
    local data, event = '', ''
    for i = 1, #entry[2], 2 do
      if entry[2][i] == 'd' then data = entry[2][i + 1] elseif entry[2][i] == 'e' then event = entry[2][i + 1] end
    end
    answer[#answer + 1] = offset
    answer[#answer + 1] = event
    answer[#answer + 1] = data
    after, messages, bytes = tonumber(offset), messages - 1, bytes - #data
  end
end
return answer
`

/** ARGV: live channel, publish command. */
export const REMOVE = `
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call(ARGV[2], ARGV[1], '')
return 1
`

import { SECRET_LENGTH } from '../../shared/position'
import { PRODUCER_LOST } from './lease-lost'

/**
 * What Redis runs for a channel, each as one atomic script: two commands in place of one let a second publisher in
 * between, and readers would see a later message first.
 *
 * KEYS of every script, in one slot (the channel's name is their hash tag):
 *   1 log   stream; an entry is one message, `<offset>-<mark>` with `d` (data), and if given `e` (event) and `k` (key); or several that
 *           were appended together and have data only, `<offset of the last>-<mark>` with their number as the field, and a line for each
 *   2 meta  hash: `epoch`, `first` and `last` (offsets), `mark` (of the last), `age` (ms), `largest` (bytes of data that an entry has or
 *           had, at most), `touched` (ms, when it was last given its expiry),
 *           `closing` (JSON) and `closer` once it has ended; `lease` (`<token> <until, ms> <time, ms> <onLost> <stopping: 1>`) of its
 *           producer, `revoked` where a log was removed that had one, `read` (ms) when somebody last said that it is read
 *   3 keys  hash: key of a message → its offset, while that is kept
 *   4       APPEND only: the writer's last append, for as long as it may ask again what became of it
 *
 * The first ARGV of every script: 1 live channel, 2 publish command (`SPUBLISH` in a cluster), 3 deadline (ms; not looked at by
 * READ). A deadline that is over: error `EXPIRED <server's time in ms>`.
 *
 * Redis may evict one of the keys and not the others. A log without its meta data is forgotten. Where there is meta data and no log, nothing
 * is kept, whatever `first` says; and it says so again when the next message is appended.
 *
 * A mark is the server's time of the append in microseconds: how old a message is, and whether it is the one that was
 * seen at this offset before a failover.
 */

/** About what one node of a stream holds, as Redis is by default (`stream-node-max-bytes`). */
const ENTRY_BYTES = 4_096

const PRELUDE = `
local log, meta, keys = KEYS[1], KEYS[2], KEYS[3]
local live, publish, deadline = ARGV[1], ARGV[2], tonumber(ARGV[3])
local clock = redis.call('TIME')
local micros = clock[1] * 1000000 + clock[2]
local now = math.floor(micros / 1000)

local function int(number) return string.format('%.0f', number) end

-- A secret is kept in front: what is found by it must be found again.
local function another(epoch, candidate)
  return (#epoch > ${SECRET_LENGTH} and string.sub(epoch, 1, ${SECRET_LENGTH + 1}) or '') .. candidate
end

local function markOf(entry) return string.match(entry[1], '%d+$') end

-- The life of the log; a new one begins where there is none, or where the meta data was lost.
local function open(candidate, age)
  local found = redis.call('HMGET', meta, 'epoch', 'last', 'mark', 'closing', 'age', 'touched', 'lease', 'first', 'largest')
  if not found[1] then
    -- In this order: where there is no memory left, Redis refuses what needs some, but only before the first write.
    redis.call('HSET', meta, 'epoch', candidate, 'last', '0', 'mark', '0', 'age', age)
    redis.call('DEL', log, keys)
    found = { candidate, '0', '0', false, age, false, false, false, false }
  end
  local life = { epoch = found[1], last = tonumber(found[2]), mark = found[3], closing = found[4], ended = found[4], age = tonumber(found[5]), touched = tonumber(found[6] or 0), largest = tonumber(found[9] or 0) }
  life.first = redis.call('XLEN', log) == 0 and life.last + 1 or tonumber(found[8] or 1)
  if found[7] then
    local token, till, time, onLost, stopping = string.match(found[7], '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
    local lease = { token = token, till = tonumber(till), time = tonumber(time), onLost = onLost, stopping = stopping }
    lease.lostAt = lease.till + (onLost == 'restart' and lease.time or 0)
    life.lease = lease
    -- Nobody writes it: the one who should have has gone.
    if not life.ended and now > lease.lostAt then life.closing = onLost == 'restart' and '${closing('restart')}' or '${closing('fail')}' end
  end
  return life
end

local function holds(life, token)
  return life.lease and life.lease.token == token and now <= life.lease.till
end

-- The epoch and the end are remembered twice as long as messages, and the lease while it counts.
local function remember(life, age)
  redis.call('PEXPIRE', meta, int(math.max(age * 2.2, life.lease and life.lease.time * 3 or 0)))
end

-- "" or "<left> <left until it counts as lost> <stopping> <unread>", in ms.
local function leaseOf(life)
  if not life.lease or life.closing then return '' end
  local read = tonumber(redis.call('HGET', meta, 'read') or now)
  return int(life.lease.till - now) .. ' ' .. int(life.lease.lostAt - now) .. ' ' .. life.lease.stopping .. ' ' .. int(now - read)
end

-- A refusal must not undo the answer to what is written already: readers look at the log now and then.
local function notify(notice)
  local told = redis.pcall(publish, live, notice)
  return type(told) == 'table' and told.err or ''
end

-- A failover, or a restart, may have lost what somebody has certainly seen: the same offsets must not come to mean other
-- messages, and so another epoch begins, and whoever reads is told.
local function notBack(life, epoch, offset, mark, candidate)
  if life.epoch ~= epoch then return end
  if offset < life.last then
    local kept = offset >= life.first and redis.call('XRANGE', log, int(offset), '+', 'COUNT', 1)[1]
    -- Trimmed meanwhile: there is nothing to compare.
    if not kept or mark == '' or markOf(kept) == mark then return end
  elseif offset == life.last and (mark == '' or mark == life.mark) then
    return
  end
  life.epoch = another(epoch, candidate)
  redis.call('HSET', meta, 'epoch', life.epoch)
  notify('')
end

-- Lets go of the messages before this one, and of the keys that named them. An entry stays for as long as one of its messages.
local function dropBefore(life, first)
  if first <= life.first then return end
  if redis.call('EXISTS', keys) == 1 then
    for _, entry in ipairs(redis.call('XRANGE', log, '-', int(first - 1))) do
      local fields = entry[2]
      for i = 1, #fields, 2 do
        -- Not the key of a newer message, where this one's was evicted.
        if fields[i] == 'k' and redis.call('HGET', keys, fields[i + 1]) == string.match(entry[1], '^%d+') then redis.call('HDEL', keys, fields[i + 1]) end
      end
    end
  end
  redis.call('XTRIM', log, 'MINID', '=', int(first))
  life.first = first
end

local function dropOld(life, age)
  local oldest = micros - age * 1000
  local first, count = life.first, 1
  while first <= life.last do
    local part = redis.call('XRANGE', log, int(first), '+', 'COUNT', count)
    local old = 0
    for _, entry in ipairs(part) do
      if tonumber(markOf(entry)) >= oldest then break end
      old = old + 1
      first = tonumber(string.match(entry[1], '^%d+')) + 1
    end
    if old < #part or old == 0 then break end
    count = 64
  end
  if first == life.first then return end
  dropBefore(life, first)
  redis.call('HSET', meta, 'first', int(first))
end

-- Entries go when the youngest is too old. Whoever appends does this now
-- and then, and adds what may pass until the next time; whoever reads drops what is old first.
local function touch(life, age)
  dropOld(life, age)
  redis.call('HSET', meta, 'touched', int(now))
  redis.call('PEXPIRE', log, int(age * 1.1))
  redis.call('PEXPIRE', keys, int(age * 1.1))
  remember(life, age)
end

-- Whoever asked has given up: what was told to have failed must not happen now.
local function late()
  return now > deadline and redis.error_reply('EXPIRED ' .. int(now))
end
`

/**
 * ARGV: 4 candidate epoch, 5 maxMessages, 6 maxAgeMs, 7 number of the writer's append, 8 how long it may ask again (ms; with a lease, at least twice its time),
 * 9 whether subscribers get the messages (1) or only a wake-up (0), 10-12 epoch, offset and mark of the last answer that the
 * writer had ('', 0, '': none), 13 token of the lease that must be held ('': none), 14 fields of a message: 1 (data) or 3
 * (data, event, key; '': none), then the messages.
 * Returns the server's time (ms), why subscribers were not told ('': they were), epoch, last offset, its mark, and the offsets:
 * the first where all were added, else each.
 * Errors: CHANNEL_ENDED, LEASE_LOST.
 *
 * A notice is "<epoch> <first offset> <mark before it> <mark> <fields>", and where subscribers get the messages, a line for
 * each field (data, or data and event): JSON has no line breaks, nor have names of events.
 */
export const APPEND = `${PRELUDE}
local candidate, maxMessages, age, sequence, fields = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[14])

local before = redis.call('GET', KEYS[4])
if before then
  local number, rest = string.match(before, '^(%S+) (.*)$')
  -- The same append once more, because its answer was lost: that it was done is true behind the deadline as well.
  if number == sequence then
    local answer = { int(now), '' }
    for field in string.gmatch(rest, '%S+') do answer[#answer + 1] = field end
    return answer
  end
end
local expired = late()
if expired then return expired end
local life = open(candidate, ARGV[6])
notBack(life, ARGV[10], tonumber(ARGV[11]), ARGV[12], candidate)
if ARGV[13] ~= '' and not life.ended and not holds(life, ARGV[13]) then return redis.error_reply('LEASE_LOST') end
if life.closing then return redis.error_reply('CHANNEL_ENDED') end

local first, follows, mark = life.last + 1, life.mark, int(micros)
local suffix = '-' .. mark

-- A log that was empty, or gone, has no expiry yet.
local fresh = life.first == first

-- A stream that is ahead of its meta data is not of this life.
if not fresh and redis.call('XRANGE', log, int(first), '+', 'COUNT', 1)[1] then
  redis.call('DEL', log, keys)
  life.epoch, life.first, fresh = another(life.epoch, candidate), first, true
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
  -- Together, as far as an entry is no more than about a node of the stream: who reads from its middle gets all of it.
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
    -- What an evicted log had is not kept, whatever the keys say.
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
-- Whoever has a lease may ask again for as long as it has it.
local askedFor = math.max(tonumber(ARGV[8]), ARGV[13] ~= '' and life.lease and life.lease.time * 2 or 0)
redis.call('SET', KEYS[4], sequence .. ' ' .. table.concat(said, ' '), 'PX', int(askedFor))
local answer = { int(now), refused }
for _, field in ipairs(said) do answer[#answer + 1] = field end
return answer
`

/**
 * ARGV: 4 candidate epoch, 5 maxAgeMs, 6 closing (JSON), 7 a text that nobody else has, by which a retry knows its own work,
 * 8 token of the lease that must be held ('': none).
 * Returns the server's time (ms), and 1 if it ended by this, else 0. Error: LEASE_LOST.
 */
export const FINISH = `${PRELUDE}
local expired = late()
if expired then return expired end
local life = open(ARGV[4], ARGV[5])
if ARGV[8] ~= '' and not life.ended and not holds(life, ARGV[8]) then return redis.error_reply('LEASE_LOST') end
if life.closing then return { int(now), redis.call('HGET', meta, 'closer') == ARGV[7] and '1' or '0' } end
redis.call('HSET', meta, 'closing', ARGV[6], 'closer', ARGV[7], 'age', ARGV[5])
redis.call('HDEL', meta, 'lease')
redis.call('PEXPIRE', meta, int(ARGV[5] * 2.2))
notify('')
return { int(now), '1' }
`

/**
 * ARGV: 4 candidate epoch, 5 maxAgeMs of a log that begins now, 6 after, 7 messages, 8 bytes, 9-10 epoch and mark of the message
 * at "after" as it was seen for certain ('': not certain).
 * Returns epoch, first, last, mark of the last, closing ('': open), lease ('': none), `largest`, and of each entry its id, its first field
 * with the event behind it, and its data. The first entry may begin at "after" or before; it counts as no bytes then.
 */
export const READ = `${PRELUDE}
local life = open(ARGV[4], ARGV[5])
local after, messages, bytes = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
notBack(life, ARGV[9], after, ARGV[10], ARGV[4])
dropOld(life, life.age)
remember(life, life.age)
local answer = { life.epoch, int(life.first), int(life.last), life.mark, life.closing or '', leaseOf(life), int(life.largest) }
local from = math.max(after + 1, life.first)
while messages > 0 and bytes > 0 and from <= life.last do
  local part = redis.call('XRANGE', log, int(from), '+', 'COUNT', math.min(messages, 100, math.max(8, math.ceil(bytes / math.max(1, life.largest)))))
  if #part == 0 then break end
  for _, entry in ipairs(part) do
    if messages <= 0 or bytes <= 0 then break end
    local fields, event = entry[2], ''
    for i = 3, #fields, 2 do
      if fields[i] == 'e' then event = fields[i + 1] end
    end
    answer[#answer + 1] = entry[1]
    answer[#answer + 1] = fields[1] .. event
    answer[#answer + 1] = fields[2]
    local last = tonumber(string.match(entry[1], '^%d+'))
    if last - (tonumber(fields[1]) or 1) + 1 >= from then bytes = bytes - #fields[2] end
    messages = messages - (last - from + 1)
    from = last + 1
  end
end
return answer
`

/**
 * ARGV: 4 candidate epoch, 5 maxAgeMs of a log that begins now, 6 what is asked (as the contract of drivers has it), 7 token,
 * 8 time (ms), 9 onLost, 10 `anew` of an acquire, or `reading` of a look (1).
 * Returns the server's time (ms), whether the token holds the lease (1), and where there is a log: epoch, first, last, mark of the
 * last, closing ('': open), lease ('': none).
 */
export const LEASE = `${PRELUDE}
local expired = late()
if expired then return expired end
local asked, token, time, onLost, flag = ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9], ARGV[10] == '1'
if asked ~= 'acquire' and asked ~= 'renew' and redis.call('EXISTS', meta) == 0 then return { int(now), '0' } end
local life = open(ARGV[4], ARGV[5])
local held = holds(life, token)

local function save(till, time, onLost, stopping)
  local text = table.concat({ token, int(till), int(time), onLost, stopping }, ' ')
  redis.call('HSET', meta, 'lease', text)
end

local function take()
  save(now + time, time, onLost, '0')
  redis.call('HSET', meta, 'read', int(now))
  notify('')
  held = true
end

if asked == 'acquire' and not held then
  if flag and life.closing then
    redis.call('DEL', log, meta, keys)
    life = open(ARGV[4], ARGV[5])
  end
  local lease = life.lease
  if not life.ended and (not lease or now > lease.till and lease.onLost == 'restart') then take() end
elseif asked == 'renew' then
  -- A log that was lost with its lease begins anew, and its producer goes on.
  if held then save(now + time, life.lease.time, life.lease.onLost, life.lease.stopping)
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
life = open(ARGV[4], ARGV[5])
remember(life, life.age)
return { int(now), held and asked ~= 'release' and '1' or '0', life.epoch, int(life.first), int(life.last), life.mark, life.closing or '', leaseOf(life) }
`

/** ARGV: 4 epoch of the next log, where one must remember whose lease is over. Returns the server's time (ms). */
export const REMOVE = `${PRELUDE}
local expired = late()
if expired then return expired end
local lease, age = unpack(redis.call('HMGET', meta, 'lease', 'age'))
redis.call('DEL', log, meta, keys)
if lease then
  redis.call('HSET', meta, 'epoch', ARGV[4], 'last', '0', 'mark', '0', 'age', age, 'revoked', '1')
  redis.call('PEXPIRE', meta, int(age * 2.2))
end
notify('')
return { int(now) }
`

function closing(onLost: keyof typeof PRODUCER_LOST): string {
  return JSON.stringify({ error: PRODUCER_LOST[onLost] })
}

import { SECRET_LENGTH } from '../../../../shared/position'
import { PRODUCER_LOST } from '../../errors'
import { LIFE_MS_LUA } from '../../life-times'
import { RETENTION } from './retention'

/**
 * How Redis keeps a channel, and the Lua that all scripts begin with. Each script is atomic: with two commands in its place, a second
 * publisher could come in between, and readers would see a later message first.
 *
 * KEYS, all in one slot, since the channel's name is their hash tag:
 *
 *   1 log    stream. An entry is one message, with the id `<offset>-<mark>` and the fields `d` (data) and, if given, `e` (event) and
 *            `k` (key); or several data-only messages that were appended together, with the id `<offset of the last>-<mark>` and one
 *            field: their number → their data, a line each.
 *   2 meta   hash:
 *              epoch, first, last   the log's epoch, the offset of the oldest message kept and of the newest
 *              mark                 mark of the newest message
 *              age                  `maxAgeMs` of the retention in force
 *              own                  the retention that handles named, `<maxMessages> <maxAgeMs> <maxBytes>`, `-` where none did
 *              largest              bytes of the largest data that any entry has or had
 *              counted              where `maxMessages` of the largest would be more than `maxBytes`: `<bytes> <first> <last>`, the bytes of
 *                                   these messages. Worth nothing once these are not the log's: a build that knows no `maxBytes` wrote
 *              touched              when the keys last got their expiry, ms
 *              closing, closer      once ended: how (JSON), and by which call of FINISH
 *              lease                of the producer: `<token> <held until, ms> <duration, ms> <onLost> <stopping: 0 or 1>`
 *              tentative            `<token> <newest offset>` of a lease that its holder has not renewed yet
 *              revoked              1: a log with a lease was removed
 *              read                 when somebody last said that the log is being read, ms
 *   3 keys   hash: key of a message → its offset, while the message is kept
 *   4        APPEND only: the answer to the writer's last append, for as long as it may ask again
 *
 * ARGV: 1 live channel, 2 publish command (`SPUBLISH` in a cluster), 3 deadline (ms; READ ignores it), then each script's own.
 * Behind the deadline every script but READ refuses: error `EXPIRED <server's time in ms>`.
 *
 * Redis may evict one key and not the others. A log without its meta data is forgotten. Meta data without a log means that nothing is
 * kept, whatever `first` says; the next append puts `first` right.
 *
 * A mark is the server's time of the append, in microseconds. It tells how old a message is, and whether it is the same message that was
 * seen at this offset before a failover.
 */
export const PRELUDE = `
local log, meta, keys = KEYS[1], KEYS[2], KEYS[3]
local live, publish, deadline = ARGV[1], ARGV[2], tonumber(ARGV[3])
local clock = redis.call('TIME')
local micros = clock[1] * 1000000 + clock[2]
local now = math.floor(micros / 1000)

local function int(number) return string.format('%.0f', number) end

-- The epoch of the log's next life. A secret one stays as the prefix, since channels are found by it.
local function nextEpoch(epoch, candidate)
  return (#epoch > ${SECRET_LENGTH} and string.sub(epoch, 1, ${SECRET_LENGTH + 1}) or '') .. candidate
end

local function offsetOf(entry) return tonumber(string.match(entry[1], '^%d+')) end

local function markOf(entry) return string.match(entry[1], '%d+$') end

-- Reads the log's meta data; a new life begins where there is none.
local function open(candidate, age)
  local found = redis.call('HMGET', meta, 'epoch', 'last', 'mark', 'closing', 'age', 'touched', 'lease', 'first', 'largest', 'own', 'counted')
  if not found[1] then
    -- HSET first: a Redis that is out of memory refuses it, and refuses nothing after a script's first write.
    redis.call('HSET', meta, 'epoch', candidate, 'last', '0', 'mark', '0', 'age', age)
    redis.call('DEL', log, keys)
    found = { candidate, '0', '0', false, age, false, false, false, false, false, false }
  end
  local life = { epoch = found[1], last = tonumber(found[2]), mark = found[3], closing = found[4], ended = found[4], age = tonumber(found[5]), touched = tonumber(found[6] or 0), largest = tonumber(found[9] or 0), own = found[10] }
  life.first = redis.call('XLEN', log) == 0 and life.last + 1 or tonumber(found[8] or 1)
  if found[11] then
    local bytes, first, last = string.match(found[11], '^(%d+) (%d+) (%d+)$')
    if tonumber(first) == life.first and tonumber(last) == life.last then life.bytes = tonumber(bytes) end
  end
  if found[7] then
    local token, till, time, onLost, stopping = string.match(found[7], '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
    local lease = { token = token, till = tonumber(till), time = tonumber(time), onLost = onLost, stopping = stopping }
    lease.lostAt = lease.till + (onLost == 'restart' and lease.time or 0)
    -- Taken by a process that may never have received the answer, and never used: as if it was not taken.
    if now > lease.till and redis.call('HGET', meta, 'tentative') == token .. ' ' .. found[2] then return life end
    life.lease = lease
    -- The producer that should have ended the log is gone, so this ending is written nowhere.
    if not life.ended and now > lease.lostAt then life.closing = onLost == 'restart' and '${closing('restart')}' or '${closing('fail')}' end
  end
  return life
end

local function holds(life, token)
  return life.lease and life.lease.token == token and now <= life.lease.till
end

local function lifeMs(life, age)${LIFE_MS_LUA}end

-- Sets the expiry of the meta data: always, or only when less than half of the life time is left. Otherwise it tries to write without
-- changing anything: a replica must refuse a reader, which would stay with it, and miss what the new primary gets.
local function remember(life, age, always)
  local time = lifeMs(life, age)
  -- A user that an older build did well with may not be allowed to ask: then each reader renews it, as each did in that build.
  local left = redis.pcall('PTTL', meta)
  if always or type(left) == 'table' or left < time / 2 then redis.call('PEXPIRE', meta, int(time))
  else redis.call('HDEL', meta, '') end
end

-- "" without a lease, else "<ms it is still held> <ms until it counts as lost> <stopping> <ms unread> <tentative>".
local function leaseOf(life)
  if not life.lease or life.closing then return '' end
  local read = tonumber(redis.call('HGET', meta, 'read') or now)
  local tentative = redis.call('HGET', meta, 'tentative') == life.lease.token .. ' ' .. int(life.last)
  return int(life.lease.till - now) .. ' ' .. int(life.lease.lostAt - now) .. ' ' .. life.lease.stopping .. ' ' .. int(now - read) .. (tentative and ' 1' or ' 0')
end

-- A refused publish (ACL) must not fail what is written already: readers look at the log now and then. Returns the refusal, or ''.
local function notify(notice)
  local told = redis.pcall(publish, live, notice)
  return type(told) == 'table' and told.err or ''
end

-- A failover or a restart may have lost messages that somebody has certainly seen. Their offsets must not come to mean other
-- messages, so that the log begins a new epoch, and readers are told.
local function checkNotRolledBack(life, epoch, offset, mark, candidate)
  if life.epoch ~= epoch then return end
  if offset < life.last then
    local kept = offset >= life.first and redis.call('XRANGE', log, int(offset), '+', 'COUNT', 1)[1]
    -- Trimmed meanwhile: nothing to compare with.
    if not kept or mark == '' or markOf(kept) == mark then return end
  elseif offset == life.last and (mark == '' or mark == life.mark) then
    return
  end
  life.epoch = nextEpoch(epoch, candidate)
  redis.call('HSET', meta, 'epoch', life.epoch)
  notify('')
end

${RETENTION}
-- The caller has given up and been told that it failed: so it must not happen now.
local function expired()
  return now > deadline and redis.error_reply('EXPIRED ' .. int(now))
end
`

function closing(onLost: keyof typeof PRODUCER_LOST): string {
  return JSON.stringify({ error: PRODUCER_LOST[onLost] })
}

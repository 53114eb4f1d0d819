import { SECRET_LENGTH } from '../../../../shared/position'
import { PRODUCER_LOST } from '../../errors'
import { LIFE_MS_LUA } from '../../life-times'
import { RETENTION } from './retention'

/**
 * Layout of a channel in Redis, and the Lua that all scripts begin with. Each script is atomic. With two commands in its place, another
 * publisher could append in between, and readers would see a later message first.
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
 *              own                  retention that handles named, `<maxMessages> <maxAgeMs> <maxBytes>`, `-` for a field that none named
 *              largest              bytes of the largest data that any entry has or had
 *              counted              `<bytes> <first> <last>`, the bytes of these messages; only if `maxMessages` of the largest would exceed
 *                                   `maxBytes`. Ignored if the log has another first or last: a build without `maxBytes` wrote since
 *              touched              time at which the keys last got their expiry, ms
 *              closing, closer      once ended: the closing (JSON), and an ID of the FINISH call that set it
 *              lease                `<token> <held until, ms> <duration, ms> <onLost> <stopping: 0 or 1>`
 *              tentative            `<token> <newest offset>` of a tentative lease when it was taken; deleted by its first renewal
 *              revoked              1: a log with a lease was removed
 *              read                 time of the last report that the log has a reader, ms
 *   3 keys   hash: key of a message → its offset, while the message is kept
 *   4        APPEND only: answer to the writer's last append, for as long as the writer may repeat it
 *
 * ARGV: 1 live channel, 2 publish command (`SPUBLISH` in a cluster), 3 deadline (ms; READ ignores it), then each script's own.
 * After the deadline, every script but READ refuses: error `EXPIRED <server's time in ms>`. APPEND still answers a repeated append.
 *
 * Redis may evict one key and not the others. A log without its meta data is deleted. Meta data without a log means that no message is
 * kept, whatever the value of `first`; the next append corrects `first`.
 *
 * A mark is the server's time of the append, in microseconds. It gives the age of a message, and shows whether a message is the same
 * that was seen at this offset before a failover.
 */
export const PRELUDE = `
local log, meta, keys = KEYS[1], KEYS[2], KEYS[3]
local live, publish, deadline = ARGV[1], ARGV[2], tonumber(ARGV[3])
local clock = redis.call('TIME')
local micros = clock[1] * 1000000 + clock[2]
local now = math.floor(micros / 1000)

local function int(number) return string.format('%.0f', number) end

-- The epoch of the log's next life. A secret epoch stays as the prefix, since channels are found by it.
local function nextEpoch(epoch, candidate)
  return (#epoch > ${SECRET_LENGTH} and string.sub(epoch, 1, ${SECRET_LENGTH + 1}) or '') .. candidate
end

local function offsetOf(entry) return tonumber(string.match(entry[1], '^%d+')) end

local function markOf(entry) return string.match(entry[1], '%d+$') end

-- Reads the log's meta data. Without any, a new life begins.
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
    -- A tentative lease, whose holder may never have received the answer: if it expired unused, it counts as never taken.
    if now > lease.till and redis.call('HGET', meta, 'tentative') == token .. ' ' .. found[2] then return life end
    life.lease = lease
    -- The producer that should have ended the log is gone, so this closing is stored nowhere.
    if not life.ended and now > lease.lostAt then life.closing = onLost == 'restart' and '${closing('restart')}' or '${closing('fail')}' end
  end
  return life
end

local function holds(life, token)
  return life.lease and life.lease.token == token and now <= life.lease.till
end

local function lifeMs(life, age)${LIFE_MS_LUA}end

-- Sets the expiry of the meta data: always, or only when less than half of the lifetime is left. Otherwise attempts a write that changes
-- nothing. A replica must refuse a reader, or the reader would stay connected to it and miss the new primary's messages.
local function remember(life, age, always)
  local time = lifeMs(life, age)
  -- The ACL of a user that suffices for an older build may not allow PTTL. Then each read renews the expiry, as in that build.
  local left = redis.pcall('PTTL', meta)
  if always or type(left) == 'table' or left < time / 2 then redis.call('PEXPIRE', meta, int(time))
  else redis.call('HDEL', meta, '') end
end

-- Describes the lease: "" without one, else "<ms it is still held> <ms until it counts as lost> <stopping> <ms unread> <tentative>".
local function leaseOf(life)
  if not life.lease or life.closing then return '' end
  local read = tonumber(redis.call('HGET', meta, 'read') or now)
  local tentative = redis.call('HGET', meta, 'tentative') == life.lease.token .. ' ' .. int(life.last)
  return int(life.lease.till - now) .. ' ' .. int(life.lease.lostAt - now) .. ' ' .. life.lease.stopping .. ' ' .. int(now - read) .. (tentative and ' 1' or ' 0')
end

-- Publishes a notice. A refused publish (ACL) must not fail the completed write: readers reread the log now and then. Returns the refusal,
-- or ''.
local function notify(notice)
  local told = redis.pcall(publish, live, notice)
  return type(told) == 'table' and told.err or ''
end

-- Begins a new epoch if a failover or a restart lost a message that a process has certainly seen. Offsets of lost messages must not come to
-- mean other messages, so readers receive a gap.
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
-- Refuses to run after the deadline: the caller has given up and reported a failure, so nothing may happen now.
local function expired()
  return now > deadline and redis.error_reply('EXPIRED ' .. int(now))
end
`

function closing(onLost: keyof typeof PRODUCER_LOST): string {
  return JSON.stringify({ error: PRODUCER_LOST[onLost] })
}

/** Approximate size of the part of a log that a script holds at a time while it counts bytes. */
const SCAN_BYTES = 1_048_576

/** Part of the prelude that removes messages: too old, too many, or too many bytes. It uses the definitions before it in the prelude. */
export const RETENTION = `
-- Calls visit(offset, bytes of the data) for each message from an offset on, until that returns true.
local function eachSize(life, from, visit)
  local count = 1
  while from <= life.last do
    local part = redis.call('XRANGE', log, int(from), '+', 'COUNT', count)
    if #part == 0 then return end
    for _, entry in ipairs(part) do
      local last, fields, sizes = offsetOf(entry), entry[2], {}
      if fields[1] == 'd' then sizes[1] = #fields[2]
      else for line in string.gmatch(fields[2], '[^\\n]+') do sizes[#sizes + 1] = #line end end
      for i, size in ipairs(sizes) do
        local offset = last - #sizes + i
        if offset >= from and visit(offset, size) then return end
      end
      from = last + 1
    end
    count = math.max(1, math.min(64, math.floor(${SCAN_BYTES} / life.largest)))
  end
end

-- Drops the messages before "first", and their keys. An entry of several stays until its last message is dropped. "bytes" are those of the
-- remaining messages, if known.
local function dropBefore(life, first, bytes)
  if first <= life.first then return end
  if redis.call('EXISTS', keys) == 1 then
    for _, entry in ipairs(redis.call('XRANGE', log, '-', int(first - 1))) do
      local fields = entry[2]
      for i = 1, #fields, 2 do
        -- Unless the key belongs to a newer message by now, because Redis evicted the hash of keys in between.
        if fields[i] == 'k' and redis.call('HGET', keys, fields[i + 1]) == string.match(entry[1], '^%d+') then redis.call('HDEL', keys, fields[i + 1]) end
      end
    end
  end
  if bytes then life.bytes = bytes
  elseif life.bytes and first > life.last then life.bytes = 0
  elseif life.bytes then
    eachSize(life, life.first, function(offset, size)
      if offset >= first then return true end
      life.bytes = life.bytes - size
      return offset == first - 1
    end)
  end
  redis.call('XTRIM', log, 'MINID', '=', int(first))
  life.first = first
end

local function saveCount(life)
  if life.bytes then redis.call('HSET', meta, 'counted', int(life.bytes) .. ' ' .. int(life.first) .. ' ' .. int(life.last)) end
end

local function saveFirst(life)
  redis.call('HSET', meta, 'first', int(life.first))
  saveCount(life)
end

-- Drops the messages that are older than this, in ms.
local function dropOld(life, age)
  local oldest = micros - age * 1000
  local first, count = life.first, 1
  while first <= life.last do
    local part = redis.call('XRANGE', log, int(first), '+', 'COUNT', count)
    local old = 0
    for _, entry in ipairs(part) do
      if tonumber(markOf(entry)) >= oldest then break end
      old = old + 1
      first = offsetOf(entry) + 1
    end
    if old < #part or old == 0 then break end
    count = 64
  end
  if first == life.first then return end
  dropBefore(life, first)
  saveFirst(life)
end

-- Applies a writer's retention: the fields that it names ('1' in "named", in the order of the others) become the channel's own, the others
-- are defaults.
local function retain(life, messages, age, bytes, named)
  if life.own or named ~= '000' then
    local limits, own = { messages, age, bytes }, {}
    for field in string.gmatch(life.own or '- - -', '%S+') do own[#own + 1] = field end
    for i = 1, 3 do
      if string.sub(named, i, i) == '1' then own[i] = limits[i]
      elseif own[i] ~= '-' then limits[i] = own[i] end
    end
    local text = table.concat(own, ' ')
    if text ~= life.own then
      redis.call('HSET', meta, 'own', text)
      life.own = text
    end
    messages, age, bytes = unpack(limits)
  end
  life.maxMessages, life.maxAge, life.maxBytes = tonumber(messages), tonumber(age), tonumber(bytes)
end

-- Drops the oldest messages beyond "maxMessages" and "maxBytes". The caller saves the first offset.
local function trim(life)
  dropBefore(life, life.last - life.maxMessages + 1)
  if life.maxMessages * life.largest <= life.maxBytes then
    life.bytes = nil
    return
  end
  if not life.bytes then
    life.bytes = 0
    eachSize(life, life.first, function(_, size) life.bytes = life.bytes + size end)
  end
  if life.bytes <= life.maxBytes then return end
  local first, bytes = life.first, life.bytes
  eachSize(life, first, function(offset, size)
    if offset == life.last then return true end
    first, bytes = offset + 1, bytes - size
    return bytes <= life.maxBytes
  end)
  dropBefore(life, first, bytes)
end

-- Renews the expiry of all keys: the messages expire when the newest is too old, the meta data later. Appends do this only now and then, so
-- the expiry is a tenth longer than needed; reads drop expired messages first.
local function touch(life)
  dropOld(life, life.maxAge)
  redis.call('HSET', meta, 'touched', int(now), 'age', int(life.maxAge))
  redis.call('PEXPIRE', log, int(life.maxAge * 1.1))
  redis.call('PEXPIRE', keys, int(life.maxAge * 1.1))
  remember(life, life.maxAge, life.maxAge ~= life.age)
  life.age = life.maxAge
end

-- Applies and enforces a retention, for writers that append nothing.
local function retainAndTrim(life, ...)
  local before = life.first
  retain(life, ...)
  trim(life)
  if life.first ~= before then saveFirst(life) end
  if life.maxAge ~= life.age then touch(life) end
end
`

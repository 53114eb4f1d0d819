/** Bytes that one node of a stream holds by Redis's default (`stream-node-max-bytes`), about. */
const ENTRY_BYTES = 4_096

/** Adds messages to the stream, for the scripts that append. It uses the definitions of the prelude. */
export const ADD_LINES = `
-- Adds one entry. Returns the error if Redis refuses it.
local function add(life, suffix, count, data, event, key)
  local offset, added = int(life.last + count)
  if count > 1 then added = redis.pcall('XADD', log, offset .. suffix, count, data)
  elseif event == '' and key == '' then added = redis.pcall('XADD', log, offset .. suffix, 'd', data)
  elseif key == '' then added = redis.pcall('XADD', log, offset .. suffix, 'd', data, 'e', event)
  elseif event == '' then added = redis.pcall('XADD', log, offset .. suffix, 'd', data, 'k', key)
  else added = redis.pcall('XADD', log, offset .. suffix, 'd', data, 'e', event, 'k', key) end
  if type(added) == 'table' then return added end
  life.last, life.largest = life.last + count, math.max(life.largest, #data)
  if life.bytes then life.bytes = life.bytes + #data - count + 1 end
end

-- Adds messages of data alone: several to an entry, up to about a node of the stream. A reader from the middle of an entry gets all of it.
local function addLines(life, all, from, suffix)
  local last = #all
  while from <= last do
    local to, size = from, #all[from]
    while to < last and size + #all[to + 1] < ${ENTRY_BYTES} do
      to = to + 1
      size = size + 1 + #all[to]
    end
    local failed = add(life, suffix, to - from + 1, from == to and all[from] or table.concat(all, '\\n', from, to), '', '')
    if failed then return failed end
    from = to + 1
  end
end
`

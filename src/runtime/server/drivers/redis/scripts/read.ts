import { PRELUDE } from './prelude'

/**
 * Reads a page of the log, and its state.
 *
 * ARGV: 4 candidate epoch and 5 maxAgeMs, for a log that begins now, 6 after, 7 messages, 8 bytes, 9-10 epoch and mark of the message at
 * "after", if it was certainly seen (epoch '': it was not).
 *
 * Returns epoch, first, last, mark of the last, closing ('': open), lease ('': none), `largest`, and of each entry its ID, its first field
 * followed by the event, and its data. The first entry may begin at "after" or before; then it counts as no bytes.
 */
export const READ = `${PRELUDE}
local life = open(ARGV[4], ARGV[5])
local after, messages, bytes = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
checkNotRolledBack(life, ARGV[9], after, ARGV[10], ARGV[4])
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

import { MAX_DUE } from '../../presence-types'
import { PRESENCE } from './presence'

/** Number of keys of one step. */
const KEYS_OF_PRESENCE = 5

/**
 * Performs a step of each of several channels of one node. KEYS and ARGV are those of PRESENCE, a channel after another, each with the same
 * number of arguments. Returns a list of answers. A step that fails is an error in this list, and the others are performed.
 *
 * All channels together end about as many holds that are due as one step alone. The others follow in the next steps.
 */
export const PRESENCES = `
local function step(KEYS, ARGV)
${PRESENCE}
end
local channels = #KEYS / ${KEYS_OF_PRESENCE}
local width, answers = #ARGV / channels, {}
for i = 0, channels - 1 do
  local keys, args = {}, { most = math.max(10, math.floor(${MAX_DUE} / channels)) }
  for k = 1, ${KEYS_OF_PRESENCE} do keys[k] = KEYS[i * ${KEYS_OF_PRESENCE} + k] end
  for k = 1, width do args[k] = ARGV[i * width + k] end
  local done, answer = pcall(step, keys, args)
  answers[i + 1] = done and answer or redis.error_reply(type(answer) == 'table' and answer.err or tostring(answer))
end
return answers
`

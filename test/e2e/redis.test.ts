import { describeRedis } from '../support/redis-checks'
import { startSingle } from '../support/redis'

// A URL alone selects redis, at run time.
describeRedis('one Redis', startSingle)

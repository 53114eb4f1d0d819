import type { Row } from '../lib/row.ts'
import { channels, quiet } from './channels.ts'
import { fanOut } from './fan-out.ts'
import { fast } from './fast.ts'
import { heartbeats } from './heartbeats.ts'
import { idle } from './idle.ts'
import { latency } from './latency.ts'
import { redisPublish, redisReplay } from './redis.ts'
import { redisReturn, redisSilence } from './redis-readers.ts'
import { resume } from './resume.ts'
import { schema } from './schema.ts'
import { slowReaders } from './slow-readers.ts'
import { tracing } from './tracing.ts'
import { users } from './users.ts'

/** Order in which rows are run and reported. */
export const rows: Row[] = [fanOut, tracing, channels, quiet, fast, latency, idle, heartbeats, slowReaders, schema, redisPublish, redisReplay, redisReturn, redisSilence, users, resume]

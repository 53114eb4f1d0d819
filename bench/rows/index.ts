import type { Row } from '../lib/row.ts'
import { fanOut } from './fan-out.ts'
import { redisPublish, redisReplay } from './redis.ts'

export const rows: Row[] = [fanOut, redisPublish, redisReplay]

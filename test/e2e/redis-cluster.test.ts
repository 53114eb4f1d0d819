import { describeRedis } from '../support/redis-checks'
import { startCluster } from '../support/redis'

describeRedis('a cluster of three', startCluster)

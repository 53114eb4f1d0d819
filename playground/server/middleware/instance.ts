import process from 'node:process'

/**
 * Names the process that responds: a load balancer hides it. `npm run dev:cluster` prints the process ID of each instance. For the
 * playground only.
 */
export default defineEventHandler(event => setResponseHeader(event, 'x-instance', process.pid))

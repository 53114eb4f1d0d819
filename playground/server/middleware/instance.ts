import process from 'node:process'

/** Says which process answers: behind a balancer, nothing else tells. `npm run dev:cluster` prints whose number is whose. Only a playground does this. */
export default defineEventHandler(event => setResponseHeader(event, 'x-instance', process.pid))

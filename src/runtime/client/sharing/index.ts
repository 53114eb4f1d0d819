export { canElect } from './election'
export { createSharedClient } from './shared-client'

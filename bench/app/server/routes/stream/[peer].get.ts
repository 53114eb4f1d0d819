import { peers } from '../../peers'

export default defineEventHandler(event => peers[getRouterParam(event, 'peer')!]!.stream(event))

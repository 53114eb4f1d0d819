/** The fallback of calls that check messages. */
export * from './index'
export { checkMessage } from './check-message'

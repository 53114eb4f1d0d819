import { reactive, toValue } from 'vue'
import type { SSEClientOptions } from '../client/types'
import type { SSEMessage } from '../shared/types'
import type { UseSSEOptions } from './call'

const NAMES = ['query', 'headers', 'body'] as const

/** Options of the client in place of refs, of which it knows nothing: functions that read them at every attempt, as `useFetch` does, refs inside objects as well. */
export function unwrapOptions(options: Pick<UseSSEOptions<SSEMessage, unknown>, typeof NAMES[number]>): { [Name in typeof NAMES[number]]: SSEClientOptions[Name] } {
  const given = NAMES.filter(name => options[name] !== undefined)
  return Object.fromEntries(given.map(name => [name, () => {
    const value = toValue<unknown>(options[name])
    return typeof value === 'object' && value ? reactive(value) : value
  }])) as Record<typeof NAMES[number], () => never>
}

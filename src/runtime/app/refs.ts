import type { ComputedRef, ShallowRef } from 'vue'
import { computed, reactive, shallowRef, toValue } from 'vue'
import type { SSEClientOptions } from '../client/types'
import type { SSEMessage } from '../shared/types'
import type { UseSSEOptions } from './call'

const NAMES = ['query', 'headers', 'body'] as const

/**
 * Options for the client, which has no refs: functions that read the refs at every attempt. Refs inside objects are unwrapped, as in
 * `useFetch`.
 */
export function unwrapOptions(options: Pick<UseSSEOptions<SSEMessage, unknown>, typeof NAMES[number]>): { [Name in typeof NAMES[number]]: SSEClientOptions[Name] } {
  const given = NAMES.filter(name => options[name] !== undefined)
  return Object.fromEntries(given.map(name => [name, () => {
    const value = toValue<unknown>(options[name])
    return typeof value === 'object' && value ? reactive(value) : value
  }])) as Record<typeof NAMES[number], () => never>
}

/** Ref of an object, and a ref of each of its fields. They change together: a watcher never sees a mix of old and new fields. */
export function splitRef<T extends object>(value: T): [whole: ShallowRef<T>, parts: { readonly [Name in keyof T]-?: ComputedRef<T[Name]> }] {
  const whole = shallowRef(value) as ShallowRef<T>
  const names = Object.keys(value) as (keyof T)[]
  return [whole, Object.fromEntries(names.map(name => [name, computed(() => whole.value[name])])) as { [Name in keyof T]-?: ComputedRef<T[Name]> }]
}

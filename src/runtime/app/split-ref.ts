import type { ComputedRef, ShallowRef } from 'vue'
import { computed, shallowRef } from 'vue'

/** A ref of an object, and a ref of each of its fields. They change at once: no watcher sees one that is new and another that is not. */
export function splitRef<T extends object>(value: T): [whole: ShallowRef<T>, parts: { readonly [Name in keyof T]-?: ComputedRef<T[Name]> }] {
  const whole = shallowRef(value) as ShallowRef<T>
  const names = Object.keys(value) as (keyof T)[]
  return [whole, Object.fromEntries(names.map(name => [name, computed(() => whole.value[name])])) as { [Name in keyof T]-?: ComputedRef<T[Name]> }]
}

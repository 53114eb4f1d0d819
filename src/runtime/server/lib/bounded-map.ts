export interface BoundedMapInit<Key, Value> {
  /** Maximum total weight of the values. The newest entry is kept, whatever its weight. */
  limit: number
  /** Weight of a value, 0 or more, constant while it is in the map. Default: 1, so that `limit` counts entries. */
  weigh?(value: Value): number
  /** Called with each entry that is dropped because of the limit, after it is removed. */
  onDrop?(key: Key, value: Value): void
}

/** Map that drops its oldest entries when a new one exceeds the limit. Setting a key again makes it the newest. */
export class BoundedMap<Key, Value> extends Map<Key, Value> {
  #weight = 0

  constructor(private readonly init: BoundedMapInit<Key, Value>) {
    super()
  }

  /** Total weight of the values. */
  get weight(): number {
    return this.#weight
  }

  override set(key: Key, value: Value): this {
    this.delete(key)
    super.set(key, value)
    this.#weight += this.#weigh(value)
    while (this.#weight > this.init.limit && this.size > 1) {
      const [oldest, dropped] = this.entries().next().value!
      this.delete(oldest)
      this.init.onDrop?.(oldest, dropped)
    }
    return this
  }

  override delete(key: Key): boolean {
    const value = this.get(key)
    if (!super.delete(key)) return false
    this.#weight -= this.#weigh(value!)
    return true
  }

  override clear(): void {
    super.clear()
    this.#weight = 0
  }

  #weigh(value: Value): number {
    return this.init.weigh?.(value) ?? 1
  }
}

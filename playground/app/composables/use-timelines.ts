/** Origin of an entry: the visitor, the client in this page, or the server. */
export type Actor = 'you' | 'client' | 'server'

export interface TimelineEntry {
  id: number
  /** Epoch milliseconds. */
  at: number
  actor: Actor
  text: string
  tone?: 'good' | 'warn' | 'bad'
  /** Position that the entry is about. */
  position?: string
  /** Type of the control message. */
  control?: string
}

const MAX_ENTRIES = 40

/**
 * Events on each page, newest first. They outlive connections, because another choice of transports makes a new one. Two writers fill them:
 * the panel notes the client's state, and a plugin the traffic on the wire.
 */
export function useTimelines() {
  const timelines = useState<Record<string, TimelineEntry[]>>('timelines', () => ({}))

  function note(path: string, entry: Omit<TimelineEntry, 'id' | 'at'>): number {
    const entries = timelines.value[path] ?? []
    const id = (entries[0]?.id ?? 0) + 1
    timelines.value[path] = [{ ...entry, id, at: Date.now() }, ...entries].slice(0, MAX_ENTRIES)
    return id
  }

  /** Adds details to an entry. */
  function amend(path: string, id: number, change: Partial<Omit<TimelineEntry, 'id'>>): void {
    timelines.value[path] = (timelines.value[path] ?? []).map(entry => entry.id === id ? { ...entry, ...change } : entry)
  }

  return { timelines, note, amend }
}

/** Offset of a position, for comparison by eye; the panel shows the whole position. */
export function offsetOf(position: string | undefined): string | undefined {
  // Of several channels: `notices:<epoch>.<offset>,here:<epoch>.<offset>`.
  return position?.split(',').map((part) => {
    const [own, key] = part.split(':').toReversed()
    const offset = own!.split('.').at(-1)
    return key ? `${key} ${offset}` : offset
  }).join(', ')
}

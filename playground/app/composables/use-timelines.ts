/** Who did it: the visitor, the client in this page, or the server. */
export type Actor = 'you' | 'client' | 'server'

export interface TimelineEntry {
  id: number
  /** Epoch milliseconds. */
  at: number
  actor: Actor
  text: string
  tone?: 'good' | 'warn' | 'bad'
  /** The position that it is about. */
  position?: string
  /** A control message, by its type. */
  control?: string
}

const MAX_ENTRIES = 40

/**
 * What happened on each page, newest first. It outlives connections, as another choice of transports makes a new one, and
 * has two writers: the panel tells what the client says of itself, and a plugin what goes over the wire.
 */
export function useTimelines() {
  const timelines = useState<Record<string, TimelineEntry[]>>('timelines', () => ({}))

  function note(path: string, entry: Omit<TimelineEntry, 'id' | 'at'>): number {
    const entries = timelines.value[path] ?? []
    const id = (entries[0]?.id ?? 0) + 1
    timelines.value[path] = [{ ...entry, id, at: Date.now() }, ...entries].slice(0, MAX_ENTRIES)
    return id
  }

  /** Says more of what was noted. */
  function amend(path: string, id: number, change: Partial<Omit<TimelineEntry, 'id'>>): void {
    timelines.value[path] = (timelines.value[path] ?? []).map(entry => entry.id === id ? { ...entry, ...change } : entry)
  }

  return { timelines, note, amend }
}

/** Of a position, what a person compares; all of it is in the panel. */
export function offsetOf(position: string | undefined): string | undefined {
  return position?.split('.').at(-1)
}

import type { ListChange, ListItem } from '#shared/types/list'

const MAX_ITEMS = 20
export const LIST_TEXT_LIMIT = 80

/** In place of a database. */
const items = new Map<number, ListItem>([[1, { id: 1, text: 'Cut a pane, and change the list in the other', done: false }]])
let lastId = 1

/** Few messages, so that a pane that is cut for some changes meets a gap, and loads the list again. */
export const listChannel = () => useSSEChannel<ListChange>('list', { retention: { maxMessages: 5 } })

export const listItems = () => [...items.values()]

export async function saveItem({ id = ++lastId, ...rest }: Omit<ListItem, 'id'> & { id?: number }): Promise<void> {
  const item = { id, ...rest }
  items.set(id, item)
  await listChannel().publish({ id, item })
  if (items.size > MAX_ITEMS) await removeItem(items.keys().next().value!)
}

export async function removeItem(id: number): Promise<void> {
  if (items.delete(id)) await listChannel().publish({ id })
}

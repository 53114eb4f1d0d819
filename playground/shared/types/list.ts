export interface ListItem {
  id: number
  text: string
  done: boolean
}

/** Change of the list. `item` is missing if the item was deleted. */
export interface ListChange {
  id: number
  item?: ListItem
}

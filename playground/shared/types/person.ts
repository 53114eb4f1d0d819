/** Visitor in a list of those who have a page open. */
export interface Person {
  id: string
  data?: { name: string }
}

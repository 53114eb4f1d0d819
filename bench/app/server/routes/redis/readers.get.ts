import { readersWith } from '../../utils/bench-readers'

/** How many readers have had so many messages. */
export default defineEventHandler((event) => {
  return { readers: readersWith(Number(getQuery(event).messages)) }
})

import { readersWith } from '../../utils/bench-readers'

/** Number of readers that have received at least `?messages=` messages. */
export default defineEventHandler((event) => {
  return { readers: readersWith(Number(getQuery(event).messages)) }
})

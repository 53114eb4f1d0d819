/** Ends the process as one that wants its profile written. */
export default defineEventHandler(() => {
  setTimeout(() => process.exit(0), 50)
  return null
})

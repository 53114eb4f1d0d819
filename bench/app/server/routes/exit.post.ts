/** Ends the process with `process.exit()`, so that it writes its CPU profile. */
export default defineEventHandler(() => {
  setTimeout(() => process.exit(0), 50)
  return null
})

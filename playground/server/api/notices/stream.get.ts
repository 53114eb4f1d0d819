/** By cookie: what a page of this application sends by itself. */
export default defineSSEHandler(async (event) => {
  const { user } = await requireSignedIn(event)
  return noticesOf(user.id)
}, { revalidate: { everyMs: REVALIDATE_MS, check: requireSignedIn } })

/** Authenticated by cookie: a page of this application sends it automatically. */
export default defineSSEHandler(async (event) => {
  const { user } = await requireSignedIn(event)
  return noticesOf(user.id)
}, { clientKey, revalidate: { everyMs: REVALIDATE_MS, check: requireSignedIn } })

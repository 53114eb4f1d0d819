/** The notifications page needs one connection: for notices, for the list of people who read theirs, and for a job. */
export default defineSSEHandler(async (event) => {
  const reader = event.context.reader = await requireReader(event)
  const { job } = getQuery(event)
  return useSSEChannels({
    notices: noticesOf(reader.user.id),
    here: useSSEPresence('notifications', { id: reader.user.id, data: { name: reader.user.name } }),
    ...(job !== undefined && { job: await requireJob(job) }),
  })
}, { clientKey, revalidate: { everyMs: REVALIDATE_MS, check: isStillSignedIn } })

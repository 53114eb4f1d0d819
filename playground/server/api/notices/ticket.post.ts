/** Ticket for a signed-in user. */
export default defineEventHandler(async (event) => {
  const { user, signIn } = await requireSignedIn(event)
  return { ticket: await createSSETicket(noticesOf(user.id), { expiresInMs: useRuntimeConfig(event).signIn.ticketMs, claims: { signIn, user: user.id } }) }
})

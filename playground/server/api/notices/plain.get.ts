import type { Notice } from '#shared/types/notice'

/** Authenticated by a ticket in the URL: for clients that can send neither a cookie nor a header. */
export default defineSSEHandler(async (event) => {
  const { channel, claims } = await requireSSETicket(event)
  if (!await isSignedIn(claims.signIn)) throw createError({ statusCode: 401, message: 'You have signed out.' })
  return useSSEChannel<Notice>(channel)
}, {
  clientKey,
  revalidate: {
    everyMs: REVALIDATE_MS,
    check: async event => isSignedIn((await requireSSETicket(event)).claims.signIn),
  },
})

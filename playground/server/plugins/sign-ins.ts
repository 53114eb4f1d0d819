import process from 'node:process'

export default defineNitroPlugin(async ({ hooks }) => {
  // A sign-in that the server no longer stores is not a session, even if the cookie is valid.
  sessionHooks.hook('fetch', async ({ user, secure }) => {
    if (user && !await isSignedIn(secure?.signIn)) throw createError({ statusCode: 401, message: 'You have signed out.' })
  })
  sessionHooks.hook('clear', async ({ secure }) => {
    if (secure) await endSignIn(secure.signIn)
  })
  const url = process.env.NUXT_SSE_REDIS_URL
  if (!url) return
  // A sign-in or sign-out at one instance applies to all of them.
  const { default: redis } = await import('unstorage/drivers/redis')
  useStorage().mount('sign-ins', redis({ url, base: 'playground:sign-ins', ttl: 86_400 }))
  hooks.hook('close', () => useStorage().unmount('sign-ins'))
})

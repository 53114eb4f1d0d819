export default defineEventHandler(async (event) => {
  const { tab } = await readBody<{ tab?: unknown } | undefined>(event) ?? {}
  if (typeof tab !== 'string') throw createError({ statusCode: 400, message: 'Expected `tab` to be a text.' })
  applyNews({ tab, cut: true })
  return sendNoContent(event)
})

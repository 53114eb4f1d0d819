export default defineEventHandler(async (event) => {
  const { tab, network } = await readBody<{ tab?: unknown, network?: unknown } | undefined>(event) ?? {}
  if (typeof tab !== 'string') throw createError({ statusCode: 400, message: 'Expected `tab` to be a text.' })
  if (!isNetwork(network)) throw createError({ statusCode: 400, message: `Expected \`network\` to be one of ${NETWORKS.join(', ')}.` })
  applyNews({ tab, network })
  return sendNoContent(event)
})

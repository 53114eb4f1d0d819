/** A file of this playground, as text: the pages show their own code. */
export default defineEventHandler(async (event) => {
  const { file } = getQuery(event)
  const isSource = typeof file === 'string' && /^(?:app|server|worker)\/[\w[\]./-]+\.(?:ts|vue)$/.test(file) && !file.includes('..')
  const bytes = isSource && await useStorage('assets:source').getItemRaw<Uint8Array | string>(file.replaceAll('/', ':'))
  if (!bytes) throw createError({ statusCode: 404, message: 'There is no such file.' })
  setResponseHeader(event, 'content-type', 'text/plain; charset=utf-8')
  return typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes)
})

export default defineEventHandler(async (event) => {
  const { user } = await requireReader(event)
  const { to, text } = await readBody<{ to?: unknown, text?: unknown } | undefined>(event) ?? {}
  const receiver = DEMO_USERS.find(one => one.id === to)
  if (!receiver) throw createError({ statusCode: 422, message: 'Choose a recipient.' })
  if (typeof text !== 'string' || !text.trim()) throw createError({ statusCode: 422, message: 'Enter a message.' })
  if (text.length > NOTICE_LIMIT) throw createError({ statusCode: 422, message: `Expected at most ${NOTICE_LIMIT} characters, got ${text.length}.` })
  const id = await noticesOf(receiver.id).publish({ from: user.name, text: text.trim(), at: new Date().toISOString() }, { key: idempotencyKey(event) })
  return { id }
})

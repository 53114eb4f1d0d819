export default defineEventHandler(async (event) => {
  await removeItem(Number(getRouterParam(event, 'id')))
  return null
})

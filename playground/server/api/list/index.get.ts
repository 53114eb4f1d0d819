export default defineEventHandler(() => listChannel().snapshot(listItems))

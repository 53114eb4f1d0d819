export default defineSSEHandler(() => feedChannel(), { from: 'now' })

export default defineSSEHandler(() => listChannel())

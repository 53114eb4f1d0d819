export default defineSSEHandler(event => requireJob(getRouterParam(event, 'id')))

/** An answer from its beginning, for as many viewers as there are, each from where it is. */
export default defineSSEHandler(event => answerChannel(readId(getRouterParam(event, 'id'))))

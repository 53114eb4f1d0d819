/** The first reader starts it, on its own instance; if that instance dies, another takes over. */
export default defineSSEHandler(() => samplesChannel().run(({ signal }) => takeSamples(signal), { onLost: 'restart' }), { from: 'now' })

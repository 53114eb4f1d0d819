/** Whoever comes first starts it, on whatever instance; when that one is gone, another takes over. */
export default defineSSEHandler(() => samplesChannel().run(({ signal }) => takeSamples(signal), { onLost: 'restart' }), { from: 'now' })

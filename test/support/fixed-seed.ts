import process from 'node:process'
import fc from 'fast-check'

/**
 * Properties run with one seed (`SSE_SEED` sets another), so that `npm test` fails for what has changed, and not for an old fault that chance finds on that day. Those are
 * what the nightly `npm run test:random` is for: with `SSE_RUNS`, each run has seeds of its own, and a failure prints the one that repeats it.
 */
const { SSE_SEED = '1', SSE_RUNS } = process.env
if (!SSE_RUNS) fc.configureGlobal({ seed: Number(SSE_SEED) })

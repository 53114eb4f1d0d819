import { setTimeout as sleep } from 'node:timers/promises'
import { peers } from '../peers'
import { message } from '../utils/bench-messages'

/** Publishes `ticks` times `perTick` messages, a tick every `intervalMs`. Responds when the last one has been passed to the peer. */
export default defineEventHandler(async (event) => {
  const { peer, ticks, perTick, intervalMs, bytes } = await readBody<{ peer: string, ticks: number, perTick: number, intervalMs: number, bytes?: number }>(event)
  const began = performance.now()
  for (let tick = 0; tick < ticks; tick++) {
    const wait = began + tick * intervalMs - performance.now()
    // Takes at least one turn of the event loop: two ticks in one turn would be one tick.
    await sleep(Math.max(0, wait))
    await peers[peer]!.publish(Array.from({ length: perTick }, (_, i) => message(tick * perTick + i + 1, bytes)))
  }
  return { ms: performance.now() - began }
})

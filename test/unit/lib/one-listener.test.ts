import { EventEmitter } from 'node:events'
import { expect, it, vi } from 'vitest'
import { shareListener } from '../../../src/runtime/server/lib/one-listener'
import { collected } from '../../support/garbage'

const whenCut = shareListener<EventEmitter>((emitter, callAll) => emitter.on('cut', callAll))

it('any number of callbacks share one listener on each target, and run until they are removed', () => {
  const [one, other] = [new EventEmitter(), new EventEmitter()]
  const callbacks = Array.from({ length: 20 }, () => vi.fn())
  const releases = callbacks.map(callback => whenCut(one, callback))
  const apart = vi.fn()
  whenCut(other, apart)
  expect([one, other].map(emitter => emitter.listenerCount('cut'))).toEqual([1, 1])
  releases[0]!()
  one.emit('cut')
  expect(callbacks.map(callback => callback.mock.calls.length)).toEqual([0, ...Array.from({ length: 19 }).fill(1)])
  expect(apart).not.toHaveBeenCalled()
})

it('a callback that removes itself does not stop the others', () => {
  const emitter = new EventEmitter()
  const release = whenCut(emitter, () => release())
  const next = vi.fn()
  whenCut(emitter, next)
  emitter.emit('cut')
  expect(next).toHaveBeenCalledOnce()
})

it('nothing remains of removed callbacks, or of a target that was collected', async () => {
  const seen = collected()
  const emitter = new EventEmitter()
  const use = (target: EventEmitter) => {
    const callback = () => {}
    seen.add(callback)
    return whenCut(target, callback)
  }
  for (let index = 0; index < 10; index++) use(emitter)()
  for (let index = 0; index < 10; index++) use(new EventEmitter())
  // The engine may hold the last object of each kind for longer.
  await seen.atLeast(18)
  expect(emitter.listenerCount('cut')).toBe(1)
})

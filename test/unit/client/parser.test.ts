import { createParser as createReference } from 'eventsource-parser'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Block } from '../../../src/runtime/client/parser'
import { createParser } from '../../../src/runtime/client/parser'

const PIECES = ['data', 'data:', 'data: ', 'event:', 'event: a', 'id', 'id:', 'id: 1', 'id: \u0000', 'retry: 7', 'retry:x', ':', ': comment', 'foo: bar', ' ', 'é🎉', '\n', '\n', '\n\n', '\r', '\r\n', '\r\n\r\n']

function split(text: string, sizes: number[]): string[] {
  const chunks: string[] = []
  let at = 0
  for (let n = 0; at < text.length; n++) chunks.push(text.slice(at, at += sizes[n % sizes.length]!))
  return chunks
}

// @guarantee split-bytes
it('reads the same as eventsource-parser, split anywhere', () => {
  fc.assert(fc.property(fc.array(fc.constantFrom(...PIECES), { maxLength: 40 }), fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1 }).filter(sizes => sizes.some(Boolean)), (pieces, sizes) => {
    // Neither parser completes an unterminated line.
    const text = `${pieces.join('')}\n\n`
    const expected: unknown[] = []
    const reference = createReference({
      onId: id => void expected.push(id),
      onEvent: ({ id, event, data }) => void expected.push({ id, event, data }),
      onRetry: ms => void expected.push(ms),
    })
    reference.feed(text)
    const got: unknown[] = []
    const retries: number[] = []
    const parse = createParser(ms => retries.push(ms))
    for (const chunk of split(text, sizes)) {
      for (const block of parse(chunk)!) {
        if (block.id !== undefined) got.push(block.id)
        if (block.data !== undefined) got.push(block)
      }
    }
    expect(got).toEqual(expected.filter(one => typeof one !== 'number'))
    expect(retries).toEqual(expected.filter(one => typeof one === 'number'))
  }), { numRuns: 5_000 })
})

it('gives an id with its message, and alone without one', () => {
  const parsed: Block[] = createParser(() => {})('id: 1\n\nid: 2\nevent: a\ndata: x\ndata: y\n\nid\n\n')!
  expect(parsed).toEqual([{ id: '1' }, { id: '2', event: 'a', data: 'x\ny' }, { id: '' }])
})

// @guarantee split-bytes
it('rejects a message that does not end, in one line or in many', () => {
  const line = createParser(() => {})
  const lines = createParser(() => {})
  const part = 'x'.repeat(1_048_576)
  let fed = 0
  while (line(part)) expect(++fed).toBeLessThan(17)
  expect(fed).toBe(16)
  fed = 0
  while (lines(`data: ${part}\n`)) expect(++fed).toBeLessThan(17)
  expect(fed).toBe(15)
})

import { describe, expect, it, vi } from 'vitest'
import { control } from '../../support/scripted-server'
import type { SSEClientOptions } from '../../../src/runtime/client'
import { END, all, data, useHarness } from './harness'

const harness = useHarness()
const open = harness.open

const TOKENS = [' 42', '1.0', '"quoted"', '12345678901234567890', 'true', 'null', '', '-0', '[DONE]', '{ "open', '  {"a":1}']
/** As a server writes a text of one line. */
const send = (texts: string[]) => texts.map(text => `data: ${text}\n\n`).join('')
const last = (count: number) => {
  let n = 0
  return () => ++n === count
}

describe('text of a server that sends no `open`', () => {
  it('stays the text that it was, whatever it looks like', async () => {
    harness.server.script(x => x.stream(send(TOKENS)))
    expect(data(await all(open({ until: last(TOKENS.length) })))).toEqual(TOKENS)
  })

  it('is JSON where it begins like an object or an array, and is one', async () => {
    harness.server.script(x => x.stream(send(['{"a":1}', '[1,2]', '{a}'])))
    expect(data(await all(open({ until: last(3) })))).toEqual([{ a: 1 }, [1, 2], '{a}'])
  })

  it.each<[SSEClientOptions['parse'], unknown[]]>([
    ['json', [42, { a: 1 }, 'word']],
    ['text', [' 42', '{"a":1}', 'word']],
    [text => text.length, [3, 7, 4]],
  ])('is the result of `parse: %s`', async (parse, expected) => {
    harness.server.script(x => x.stream(send([' 42', '{"a":1}', 'word'])))
    expect(data(await all(open({ parse, until: last(3) })))).toEqual(expected)
  })

  it('stays text where `parse` throws, with a warning', async () => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => {})
    harness.server.script(x => x.stream(send(['x', '1'])))
    expect(data(await all(open({ parse: text => JSON.parse(text), until: last(2) })))).toEqual(['x', 1])
    expect(said).toHaveBeenCalledTimes(1)
    said.mockRestore()
  })
})

describe('text of a server that sends `open`', () => {
  it('is JSON, unless `open` marks it as raw text', async () => {
    harness.server.script(x => x.open().write(send(['1.0', '"a"'])).end(END))
    expect(data(await all(open()))).toEqual([1, 'a'])
    harness.server.script(x => x.open({ text: true }).write(send(TOKENS)).write(control({ type: 'end' })).end())
    expect(data(await all(open()))).toEqual(TOKENS)
  })

  it('is read by `parse` in streams and batches alike', async () => {
    harness.server.script(x => x.isPoll ? x.batch([{ id: 'e1.1', data: { a: 1 } }], { ended: true }) : x.open().write(send(['{"a":1}'])).end(END))
    for (const transport of ['stream', 'poll'] as const) expect(data(await all(open({ parse: 'text', transports: [transport] })))).toEqual(['{"a":1}'])
  })

  it('`parse` is one of three', () => {
    expect(() => open({ parse: 'xml' as never })).toThrow('Expected `parse` to be `json`, `text` or a function')
  })
})

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { addQuery } from '../../../src/runtime/client/url'

const PIECES = ['a=%20b', 'flag', 'c=~', 'd=%E9', 'e=1+1', '', '=', 'f==', 'g=%', 'é=ü', 'position=1&position=2']

it('sends a url unchanged, and adds parameters after it', () => {
  expect(addQuery('/x?a=%20b&flag&c=~&d=%E9#top', { n: 1, none: undefined, no: null })).toBe('/x?a=%20b&flag&c=~&d=%E9&n=1#top')
  fc.assert(fc.property(fc.constantFrom('/x', 'http://a.test/', '', 'x/y'), fc.array(fc.constantFrom(...PIECES)), fc.constantFrom('', '#', '#h?x=1'), (path, pieces, hash) => {
    const search = pieces.length ? `?${pieces.join('&')}` : ''
    expect(addQuery(path + search + hash, {})).toBe(path + search + hash)
    expect(addQuery(path + search + hash, { n: 'a b' })).toBe(`${path}${pieces.join('&') ? `${search}&` : '?'}n=a+b${hash}`)
  }))
})

it('replaces a parameter of the same name, in any encoding', () => {
  expect(addQuery('/x?position=start&a=%20&%70osition=7&positions=1', { position: 'e1.2' })).toBe('/x?a=%20&positions=1&position=e1.2')
})

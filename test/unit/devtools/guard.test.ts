import { describe, expect, it } from 'vitest'
import { reasonToRefuse } from '../../../src/runtime/server/devtools/guard'

const own = { method: 'GET', host: 'localhost:3000' }
const post = { method: 'POST', host: 'localhost:3000', origin: 'http://localhost:3000', fetchSite: 'same-origin', contentType: 'application/json' }

describe('access to the tab in Nuxt DevTools', () => {
  it.each([
    ['its page, typed by the user', { ...own, fetchSite: 'none' }],
    ['its page, in Nuxt DevTools', { ...own, fetchSite: 'same-origin' }],
    ['a browser without fetch metadata, at an address in the local network', { ...own, host: '192.168.1.5:3000' }],
    ['an IPv6 address', { ...own, host: '[::1]:3000' }],
    ['a name below localhost', { ...own, host: 'app.localhost:3000' }],
    ['its form', post],
    ['its form over TLS', { ...post, host: 'localhost', origin: 'https://localhost' }],
    ['a program of the same machine', { method: 'POST', host: '127.0.0.1:3000', contentType: 'application/json; charset=utf-8' }],
  ])('allows %s', (_, asked) => {
    expect(reasonToRefuse(asked, [])).toBeUndefined()
  })

  it.each([
    ['a foreign page that reads', { ...own, fetchSite: 'cross-site' }],
    ['a foreign page that reads, on another port of this machine', { ...own, origin: 'http://localhost:4000', fetchSite: 'same-site' }],
    ['a foreign page in whose frame it is', { ...own, fetchSite: 'cross-site' }],
    ['a foreign page that publishes', { ...post, origin: 'https://example.com', fetchSite: 'cross-site' }],
    ['a foreign page that publishes, in a browser without fetch metadata', { ...post, origin: 'https://example.com', fetchSite: undefined }],
    ['a sandboxed frame', { ...post, origin: 'null', fetchSite: undefined }],
    ['a form of a foreign page, followed by the user', { ...post, origin: undefined, fetchSite: 'none', contentType: 'text/plain' }],
    ['a request that a foreign page can send without a preflight', { method: 'POST', host: 'localhost:3000', contentType: 'text/plain' }],
    ['a body without a type', { method: 'POST', host: 'localhost:3000' }],
    ['DNS rebinding: a foreign name that leads here', { ...own, host: 'example.com:3000', origin: 'http://example.com:3000', fetchSite: 'same-origin' }],
    ['a name that only begins like an own one', { ...own, host: 'localhost.example.com' }],
    ['a name that only ends like an own one', { ...own, host: 'notlocalhost' }],
    ['no host', { method: 'GET' }],
    ['a malformed host', { ...own, host: 'a b' }],
  ])('refuses %s', (_, asked) => {
    expect(reasonToRefuse(asked, [])).toEqual(expect.any(String))
  })

  it('accepts the host names that the application allows, as Vite does', () => {
    const asked = (host: string) => reasonToRefuse({ method: 'GET', host }, ['app.test', '.dev.test'])
    for (const host of ['app.test', 'app.test:3000', 'dev.test', 'a.b.dev.test:80']) expect(asked(host), host).toBeUndefined()
    for (const host of ['x.app.test', 'notdev.test', 'test']) expect(asked(host), host).toContain('vite.server.allowedHosts')
    expect(reasonToRefuse({ method: 'GET', host: 'anything' }, true)).toBeUndefined()
  })
})

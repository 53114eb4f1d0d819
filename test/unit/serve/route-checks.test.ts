import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

describe('`disconnectSSE`, in development', () => {
  let checks: typeof import('../../../src/runtime/server/serve/route-checks')
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})

  beforeEach(async () => {
    vi.resetModules()
    checks = await import('../../../src/runtime/server/serve/route-checks')
  })
  afterEach(() => void warn.mockClear())

  it('warns once where handlers are loaded, and none has a `clientKey`', () => {
    checks.countHandler({})
    checks.countHandler({ clientKey: undefined })
    for (let n = 0; n < 3; n++) checks.warnOfKey()
    expect(warn).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(/^\[nuxt-sse\] `disconnectSSE` found no stream: .*`clientKey`/))
  })

  it('does not warn in a process without handlers, such as a worker, and warns when it has one later', () => {
    checks.warnOfKey()
    expect(warn).not.toHaveBeenCalled()
    checks.countHandler({})
    checks.warnOfKey()
    expect(warn).toHaveBeenCalledOnce()
  })

  it.each([[{ clientKey: () => 'a' }, {}], [{}, { clientKey: () => undefined }]])('does not warn where any handler has a `clientKey`', (...handlers) => {
    for (const handler of handlers) checks.countHandler(handler)
    checks.warnOfKey()
    expect(warn).not.toHaveBeenCalled()
  })
})

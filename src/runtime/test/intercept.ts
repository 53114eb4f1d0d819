import { invalidOption } from '../shared/errors'

type Fetch = typeof globalThis.fetch

/** Passes requests of the global `fetch` for a URL to `answer`. Returns the function that ends it. */
export function intercept(url: string | RegExp, answer: Fetch): () => void {
  const matches = matcherOf(url)
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, 'fetch')!
  const previous = globalThis.fetch
  let isActive = true
  const own: Fetch = (input, init) => {
    const given = typeof input === 'object' && 'url' in input ? input.url : String(input)
    return (isActive && matches(given) ? answer : previous)(input, init)
  }
  // Libraries that mock it may have made it read-only.
  Object.defineProperty(globalThis, 'fetch', { value: own, configurable: true, enumerable: true, writable: true })
  return () => {
    isActive = false
    // A test may have replaced it since.
    if (globalThis.fetch === own) Object.defineProperty(globalThis, 'fetch', descriptor)
  }
}

function matcherOf(url: string | RegExp): (url: string) => boolean {
  if (url instanceof RegExp) return given => given.search(url) >= 0
  if (url.startsWith('/')) return given => pathOf(given) === pathOf(url)
  if (!URL.canParse(url)) throw invalidOption('url', 'a path such as `/api/feed`, an absolute URL, or a pattern', url)
  return given => URL.canParse(given) && new URL(given).origin === new URL(url).origin && pathOf(given) === pathOf(url)
}

function pathOf(url: string): string {
  return new URL(url, 'http://localhost').pathname
}

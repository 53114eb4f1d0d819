import { vi } from 'vitest'
import type { Scenario } from './world'

/** A page, with its events and a storage. */
export class Page {
  hidden = false
  listeners = 0
  /** Probes of the network that are in flight. */
  probes = 0
  private readonly target = new EventTarget()
  private readonly storage = new Map<string, string>()

  /** `origin`: of the page; without one, there are events but no address. */
  install(origin?: string): void {
    if (origin) {
      vi.stubGlobal('location', { href: `${origin}/` })
      vi.stubGlobal('origin', origin)
    }
    vi.stubGlobal('addEventListener', (type: string, listener: () => void, options: { signal: AbortSignal }) => {
      if (options.signal.aborted) return
      this.listeners++
      options.signal.addEventListener('abort', () => this.listeners--)
      this.target.addEventListener(type, listener, { signal: options.signal })
    })
    const isHidden = () => this.hidden
    const visibilityState = { configurable: true, get: () => isHidden() ? 'hidden' : 'visible' }
    // A browser lets nobody replace its document.
    if (globalThis.document) Object.defineProperty(document, 'visibilityState', visibilityState)
    else vi.stubGlobal('document', Object.defineProperty({}, 'visibilityState', visibilityState))
    vi.stubGlobal('sessionStorage', {
      getItem: (key: string) => this.storage.get(key) ?? null,
      setItem: (key: string, value: string) => void this.storage.set(key, value),
      removeItem: (key: string) => void this.storage.delete(key),
    })
  }

  /** Answers the probe. It is in flight until the client ends it, or has read what it needs. */
  probe(answer: Scenario['probe'], signal: AbortSignal): Promise<Response> {
    this.probes++
    const over = () => void this.probes--
    signal.addEventListener('abort', over, { once: true })
    if (answer === 'another page') return Promise.resolve(new Response('<html>', { status: 404, headers: { 'content-type': 'text/html' } }))
    return new Promise((resolve, reject) => {
      if (answer === 'holds back') return signal.addEventListener('abort', () => reject(signal.reason as Error))
      resolve(new Response(new ReadableStream({ start: controller => controller.enqueue(new TextEncoder().encode(': probe\n\n')) }), { headers: { 'content-type': 'text/event-stream' } }))
    })
  }

  dispatch(...types: string[]): void {
    for (const type of types) this.target.dispatchEvent(new Event(type))
  }
}

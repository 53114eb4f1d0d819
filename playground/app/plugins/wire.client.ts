import { createParser } from 'eventsource-parser'
import type { Network } from '#shared/utils/networks'
import type { TimelineEntry } from '../composables/use-timelines'

/** Fields of control messages that are shown. */
interface Control { type: string, position?: string, resumed?: boolean, heartbeatMs?: number, reason?: string, missed?: number | null, code?: string, message?: string, retry?: boolean, retryMs?: number }

interface Refusal { message?: string, data?: { code?: string } }

interface Batch { messages: unknown[], position: string, ended: boolean, gap: Control | null, error?: Control }

/**
 * Reads this tab's traffic, and notes it on the page's timeline: requests, responses and control messages as the server sent them, not as
 * the client interpreted them.
 */
export default defineNuxtPlugin((nuxtApp) => {
  const { note, amend, timelines } = useTimelines()
  const tab = useState('tab', () => '')
  const browser = useState('browser', () => '')
  // Process that serves the page's connection: a load balancer hides it.
  const instance = useState<number | undefined>('instance', () => undefined)
  const network = useState<Network>('network', () => 'normal')
  const router = useRouter()
  const send = globalThis.fetch
  // Consecutive polls are one entry.
  const polls = { path: '', id: 0, times: 0, messages: 0 }

  function isOurs(url: URL): boolean {
    const owner = url.searchParams.get('tab')?.split('.')[0]
    return !!tab.value && (owner === tab.value || owner === browser.value)
  }

  globalThis.fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input, location.href)
    const path = router.currentRoute.value.path
    if (isProbe(url)) return passProbe(path, url, init)
    if (!isOurs(url)) return send(input, init)
    const isPoll = url.searchParams.get('transport') === 'poll'
    const position = new Headers(init?.headers).get('last-event-id') ?? url.searchParams.get('position') ?? undefined
    if (!isPoll) note(path, { actor: 'client', text: position ? 'asks for the stream, behind' : 'asks for the stream', position })
    const response = await send(input, init)
    instance.value = Number(response.headers.get('x-instance')) || undefined
    if (response.status === 204) note(path, { actor: 'server', text: '204: complete, and read to its end' })
    if (!response.body) return response
    if (response.ok && !isPoll) return passStream(path, response)
    const text = await response.text()
    // An error page of a proxy is not JSON.
    const json: unknown = response.headers.get('content-type')?.startsWith('application/json') ? JSON.parse(text) : undefined
    if (response.ok && json) noteBatch(path, json as Batch)
    else noteRefusal(path, response, json as Refusal)
    return likeIt(response, text)
  }
  nuxtApp.vueApp.onUnmount(() => globalThis.fetch = send)

  /** Whether the client asks if its network lets streams through. */
  function isProbe({ origin, pathname }: URL): boolean {
    return !!tab.value && origin === location.origin && pathname.endsWith('/__sse/probe')
  }

  /** The probe passes the tab's simulated network, as streams do. Its verdict is its first chunk, or the client's abort before one arrived. */
  async function passProbe(path: string, url: URL, init?: RequestInit): Promise<Response> {
    let decided = false
    function decide(entry: Pick<TimelineEntry, 'text' | 'tone'>): void {
      if (!decided) note(path, { actor: 'client', ...entry })
      decided = true
    }
    note(path, { actor: 'client', text: 'no byte for 3 s, probes the network' })
    init?.signal?.addEventListener('abort', () => decide({ text: 'probe: no byte either, the network holds streams back', tone: 'warn' }), { once: true })
    url.searchParams.set('tab', `${tab.value}.${network.value}`)
    const response = await send(url, init)
    if (!response.ok || !response.body) {
      decide({ text: `probe: answered ${response.status}, says nothing` })
      return response
    }
    return likeIt(response, response.body.pipeThrough(new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(chunk, controller) {
        decide({ text: 'probe: the network lets streams through, the handler is slow', tone: 'good' })
        controller.enqueue(chunk)
      },
    })))
  }

  function noteRefusal(path: string, { status, statusText }: Response, { message = statusText, data }: Refusal = {}): void {
    note(path, { actor: 'server', text: [status, data?.code, message].filter(Boolean).join(' '), tone: 'bad' })
  }

  function noteBatch(path: string, { messages, position, ended, gap, error }: Batch): void {
    if (gap) noteControl(path, { ...gap, type: 'gap' })
    if (polls.path !== path || timelines.value[path]?.[0]?.id !== polls.id) Object.assign(polls, { path, id: 0, times: 0, messages: 0 })
    polls.times++
    polls.messages += messages.length
    const text = `answers ${count(polls.times, 'poll')} with ${count(polls.messages, 'message')}`
    if (polls.id) amend(path, polls.id, { text, position, at: Date.now() })
    else polls.id = note(path, { actor: 'server', text, position })
    if (ended) noteControl(path, { ...error, type: error ? 'error' : 'end' })
  }

  /** Response whose bytes are read here before the client receives them: events are noted in the order in which they happened. */
  function passStream(path: string, response: Response): Response {
    let retryMs: number | undefined
    const parser = createParser({
      onRetry: ms => retryMs = ms,
      onEvent: ({ event, data }) => {
        if (event === 'sse') noteControl(path, { retryMs, ...JSON.parse(data) as Control })
      },
    })
    const decoder = new TextDecoder()
    const body = response.body!.pipeThrough(new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(chunk, controller) {
        parser.feed(decoder.decode(chunk, { stream: true }))
        controller.enqueue(chunk)
      },
    }))
    return likeIt(response, body)
  }

  function noteControl(path: string, control: Control): void {
    const { text, tone } = describe(control)
    note(path, { actor: 'server', control: control.type, text, tone, position: control.position })
  }
})

function describe(control: Control): { text: string, tone?: 'good' | 'warn' | 'bad' } {
  const { type, resumed, heartbeatMs, retryMs, reason, missed, code, message, retry } = control
  switch (type) {
    case 'open': return { text: `${resumed ? 'resumed' : 'from here'}, heartbeat ${seconds(heartbeatMs)}, retry ${seconds(retryMs)}` }
    case 'gap': return { text: `${reason}: ${missed ?? 'an unknown number'} missed`, tone: 'warn' }
    case 'end': return { text: 'the source is complete', tone: 'good' }
    case 'leave': return { text: `come back in ${seconds(retryMs)}`, tone: 'warn' }
    case 'error': return { text: `${code}: ${message}${retry ? '' : ' Final.'}`, tone: 'bad' }
    default: return { text: '' }
  }
}

const seconds = (ms = 0) => `${Number((ms / 1_000).toFixed(1))} s`
const count = (number: number, what: string) => `${number.toLocaleString('en')} ${what}${number === 1 ? '' : 's'}`

/** Copy of a response with the properties that the client reads. */
const likeIt = (response: Response, body: BodyInit) => Object.defineProperty(new Response(body, response), 'url', { value: response.url })

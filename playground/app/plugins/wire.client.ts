import { createParser } from 'eventsource-parser'

/** The parts of control messages that are shown. */
interface Control { type: string, position?: string, resumed?: boolean, heartbeatMs?: number, reason?: string, missed?: number | null, code?: string, message?: string, retry?: boolean, retryMs?: number }

interface Batch { messages: unknown[], position: string, ended: boolean, gap: Control | null, error?: Control }

/**
 * Reads along what goes over the wire for this tab, and notes it on the page's timeline: requests, answers and control messages,
 * as the server has sent them, and not as the client has understood them.
 */
export default defineNuxtPlugin((nuxtApp) => {
  const { note, amend, timelines } = useTimelines()
  const tab = useState('tab', () => '')
  const router = useRouter()
  const send = globalThis.fetch
  // Polls that follow each other are one entry.
  const polls = { path: '', id: 0, times: 0, messages: 0 }

  function isOurs(url: URL): boolean {
    return !!tab.value && url.searchParams.get('tab')?.split('.')[0] === tab.value
  }

  globalThis.fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input, location.href)
    if (!isOurs(url)) return send(input, init)
    const path = router.currentRoute.value.path
    const isPoll = url.searchParams.get('transport') === 'poll'
    const position = new Headers(init?.headers).get('last-event-id') ?? url.searchParams.get('position') ?? undefined
    const asked = isPoll ? undefined : note(path, { actor: 'client', text: position ? 'asks for the stream, behind' : 'asks for the stream', position })
    const response = await send(input, init)
    // What is read here is a copy: it ends and fails with the client's own, which is where that is noted.
    if (!response.ok) void readRefusal(path, asked, response.clone()).catch(ignore)
    else if (isPoll) void readBatch(path, response.clone()).catch(ignore)
    else if (response.status === 204) note(path, { actor: 'server', text: '204: complete, and read to its end' })
    else void readStream(path, response.clone()).catch(ignore)
    return response
  }
  nuxtApp.vueApp.onUnmount(() => globalThis.fetch = send)

  async function readRefusal(path: string, asked: number | undefined, response: Response): Promise<void> {
    const { message, data } = await response.json().catch(() => ({})) as { message?: string, data?: { code?: string } }
    const text = `${response.status} ${data?.code ?? ''} ${message ?? response.statusText}`.replace(/\s+/g, ' ')
    note(path, { actor: 'server', text, tone: 'bad' })
    if (!asked) polls.id = 0
  }

  async function readBatch(path: string, response: Response): Promise<void> {
    const batch = await response.json() as Batch
    const { messages, position, ended, gap, error } = batch
    if (gap) noteControl(path, { ...gap, type: 'gap' })
    if (polls.path !== path || timelines.value[path]?.[0]?.id !== polls.id) Object.assign(polls, { path, id: 0, times: 0, messages: 0 })
    polls.times++
    polls.messages += messages.length
    const text = `answers ${count(polls.times, 'poll')} with ${count(polls.messages, 'message')}`
    if (polls.id) amend(path, polls.id, { text, position, at: Date.now() })
    else polls.id = note(path, { actor: 'server', text, position })
    if (ended) noteControl(path, { ...error, type: error ? 'error' : 'end' })
  }

  async function readStream(path: string, response: Response): Promise<void> {
    let retryMs: number | undefined
    const parser = createParser({
      onRetry: ms => retryMs = ms,
      onEvent: ({ event, data }) => {
        if (event === 'sse') noteControl(path, { retryMs, ...JSON.parse(data) as Control })
      },
    })
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    for (let step = await reader.read(); !step.done; step = await reader.read()) parser.feed(step.value)
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
    case 'error': return { text: `${code}: ${message}${retry ? '' : ', for good'}`, tone: 'bad' }
    default: return { text: '' }
  }
}

const seconds = (ms = 0) => `${Number((ms / 1_000).toFixed(1))} s`
const count = (number: number, what: string) => `${number.toLocaleString('en')} ${what}${number === 1 ? '' : 's'}`
const ignore = () => {}

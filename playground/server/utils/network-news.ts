import { randomUUID } from 'node:crypto'
import process from 'node:process'
import type { Network } from '#shared/utils/networks'

/** Change of a tab's network, or the ID of the process to kill. */
export type NetworkNews = { tab: string, network: Network } | { tab: string, cut: true } | { kill: number }

const INSTANCE = randomUUID()

const newsChannel = () => useSSEChannel<NetworkNews & { from: string }>('network', { retention: { maxMessages: 100, maxAgeMs: 60_000 } })

let listening = false

/** Applies a change here, and on the other instances that may have connections of the tab. They receive it through a channel. */
export function applyNews(news: NetworkNews): void {
  apply(news)
  // An instance that misses the message reads the network from the tab's next request.
  if (hasOthers()) void newsChannel().publish({ ...news, from: INSTANCE }).catch(() => {})
}

/** Subscribes to the changes that other instances publish, from now on. */
export function listenForNews(): void {
  if (listening || !hasOthers()) return
  listening = true
  // The subscription ends with the driver or the server; the next request starts it again.
  void follow().catch(() => {}).finally(() => listening = false)
}

async function follow(): Promise<void> {
  for await (const { data: { from, ...news } } of newsChannel().subscribe({ after: 'now', onGap: () => {} })) {
    if (from !== INSTANCE) apply(news)
  }
}

function apply(news: NetworkNews): void {
  if ('kill' in news) {
    if (news.kill === process.pid) process.kill(process.pid, 'SIGKILL')
  }
  else if ('cut' in news) cutTab(news.tab)
  else changeNetwork(news.tab, news.network)
}

/** Whether `npm run dev:cluster` runs this process, and starts it again when it is killed. */
export const isCluster = () => process.env.PLAYGROUND_CLUSTER === '1'

/** No other process reads channels that are kept in this process's memory. */
function hasOthers(): boolean {
  return useSSEStats().driver !== 'memory'
}

import type { ServerResponse } from 'node:http'
import type { Network } from '#shared/utils/networks'
import type { ShapedResponse } from './shaped-response'

/** Time within which a request that was sent before its tab changed the network has arrived, in milliseconds. */
const IN_FLIGHT_MS = 30_000

interface Tab {
  open: Set<ShapedResponse>
  /** Network that the tab has chosen after it sent the requests that are still in flight. */
  chosen?: Network
  timer?: NodeJS.Timeout
}

/** Kept while a response is open, or a request may be in flight. */
const tabs = new Map<string, Tab>()

/** Applies the tab's network to a response: the network that the request names, or that was chosen since. */
export function enterTab(id: string, named: Network, response: ServerResponse): Network {
  const tab = keep(id)
  const network = tab.chosen ?? named
  if (network === 'stop') {
    forget(id, tab)
    return network
  }
  const shaped = shapeResponse(response, network, () => {
    tab.open.delete(shaped)
    forget(id, tab)
  })
  tab.open.add(shaped)
  return network
}

/** Applies to open responses and later ones. A stopped server has no open responses. */
export function changeNetwork(id: string, network: Network): void {
  const tab = keep(id)
  clearTimeout(tab.timer)
  tab.chosen = network
  tab.timer = setTimeout(() => {
    tab.chosen = undefined
    forget(id, tab)
  }, IN_FLIGHT_MS).unref()
  for (const response of tab.open) {
    if (network === 'stop') response.cut()
    else response.network = network
  }
}

export function cutTab(id: string): void {
  for (const response of tabs.get(id)?.open ?? []) response.cut()
}

function keep(id: string): Tab {
  let tab = tabs.get(id)
  if (!tab) tabs.set(id, tab = { open: new Set() })
  return tab
}

function forget(id: string, tab: Tab): void {
  if (!tab.open.size && !tab.chosen) tabs.delete(id)
}

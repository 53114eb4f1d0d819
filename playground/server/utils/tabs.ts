import type { ServerResponse } from 'node:http'
import type { Network } from '#shared/utils/networks'
import type { ShapedResponse } from './shaped-response'

/** A request that left before its tab changed the network has arrived within this time. */
const IN_FLIGHT_MS = 30_000

interface Tab {
  open: Set<ShapedResponse>
  /** What the tab has chosen since its requests under way were sent. */
  chosen?: Network
  timer?: NodeJS.Timeout
}

/** Kept while something is open, or may be on its way. */
const tabs = new Map<string, Tab>()

/** Puts the tab's network in front of a response: the one that the request names, or that was chosen since. */
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

/** For what is open, and what comes. A stopped server has nothing open. */
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

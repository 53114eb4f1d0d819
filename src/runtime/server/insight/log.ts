import type { H3Event } from 'h3'
import { methodOf, pathOf, routeOf } from '#sse/h3'

/** Names a request in logs: method and route pattern. The path may contain secrets. */
export function subjectOf(event: H3Event): string {
  return `${methodOf(event)} ${routeOf(event) ?? pathOf(event).replace(/\?.*/s, '')}`
}

/** Names a channel in logs. The name of a `resumable` run contains its epoch, which is the key to the run. */
export function subjectOfChannel(name: string): string {
  return isRun(name) ? 'a resumable run' : `channel ${name}`
}

/** Whether a channel is that of a `resumable` run, whose name and positions are secret. */
export function isRun(channel: string): boolean {
  return channel.startsWith('resumable:')
}

import { SECRET_LENGTH } from './position'

/**
 * Redaction of secret epochs. The epoch of a resumable run is the key to it: a client that knows it can read the run. So it is sent to that
 * client only. Hooks, logs, errors and DevTools receive its beginning, which distinguishes runs.
 */

/** Random characters that are shown: about 41 bits, and 93 stay secret. */
const SHOWN_LENGTH = 8

/** Shortens each secret epoch in a text to its beginning. Secret epochs are recognised by their length: others are much shorter. */
export function withoutSecret(text: string): string {
  return text.replace(/\be[0-9a-z]{26,}/g, epoch => `${epoch.slice(0, SHOWN_LENGTH + 1)}…`)
}

/** Shortens secret epochs in the positions of a path's query. Nothing else in it is changed. */
export function pathWithoutSecret(path: string): string {
  return path.replace(/[?&](?:position|lastEventId|before)=[^&#]*/gi, withoutSecret)
}

/** Name of a channel for errors, hooks and logs. The name of a resumable run contains its epoch, which is shortened. */
export function publicChannelName(name: string): string {
  return isRun(name) ? withoutSecret(name) : name
}

/** ID of a channel's message for hooks and traces. That of a resumable run contains its epoch, which is shortened. */
export function publicId(channel: string, id: string): string {
  return isRun(channel) ? withoutSecret(id) : id
}

/** Whether a channel belongs to a `resumable` run, whose name and positions are secret. */
export function isRun(channel: string): boolean {
  return channel.startsWith('resumable:')
}

/** Whether a position belongs to a resumable run. */
export function isSecretPosition(position: string): boolean {
  return position.startsWith('e') && position.indexOf('.') > SECRET_LENGTH
}

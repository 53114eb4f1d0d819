import { SECRET_LENGTH } from './position'

/**
 * The epoch of a resumable run is the key to it: a client that knows it can read the run. So it is sent to that client only. Hooks,
 * logs, errors and DevTools get its beginning, which tells runs apart.
 */

/** Random characters that are shown: about 41 bits, and 93 stay secret. */
const SHOWN_LENGTH = 8

/** The text with the beginning of each secret epoch in it. By their shape: an epoch that is no secret is much shorter. */
export function withoutSecret(text: string): string {
  return text.replace(/\be[0-9a-z]{26,}/g, epoch => `${epoch.slice(0, SHOWN_LENGTH + 1)}…`)
}

/** A path whose query may ask for a position. Nothing else in it is changed. */
export function pathWithoutSecret(path: string): string {
  return path.replace(/[?&](?:position|lastEventId)=[^&#]*/gi, withoutSecret)
}

/** The name of a channel for errors, hooks and logs: that of a resumable run has its epoch in it. */
export function publicChannelName(name: string): string {
  return name.startsWith('resumable:') ? withoutSecret(name) : name
}

/** Whether a position is one of a resumable run. */
export function isSecretPosition(position: string): boolean {
  return position.startsWith('e') && position.indexOf('.') > SECRET_LENGTH
}

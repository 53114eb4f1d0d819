/** What may stand between a tab and the server: nothing, or something that misbehaves. */
export const NETWORKS = ['clear', 'delay', 'buffer', 'stop'] as const

export type Network = typeof NETWORKS[number]

/** How late each byte comes with `delay`. */
export const DELAY_MS = 1_500

export function isNetwork(value: unknown): value is Network {
  return NETWORKS.includes(value as Network)
}

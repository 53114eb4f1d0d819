/** Simulated networks between a tab and the server: a normal one, or one that misbehaves. */
export const NETWORKS = ['normal', 'delay', 'buffer', 'stop'] as const

export type Network = typeof NETWORKS[number]

/** Delay of each byte with `delay`, in milliseconds. */
export const DELAY_MS = 1_500

export function isNetwork(value: unknown): value is Network {
  return NETWORKS.includes(value as Network)
}

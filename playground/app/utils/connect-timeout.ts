/** Longer than the probe of the network takes (5 s), which decides earlier, and short enough to wait for behind a proxy that holds every stream back. */
export const CONNECT_TIMEOUT_MS = 6_000

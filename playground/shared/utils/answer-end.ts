export function describeUsage({ tokens, ms }: { tokens: number, ms: number }): string {
  return `${tokens} tokens in ${(ms / 1000).toFixed(1)} s`
}

/** Text for an answer that was cut short, by the code of its error. */
export function describeEnd(code: string): string {
  switch (code) {
    case 'ABORTED': return 'Stopped'
    case 'PRODUCER_LOST':
    case 'SHUTTING_DOWN': return 'The server that wrote it has gone'
    default: return `Incomplete (${code})`
  }
}

/** Text that a server of this package sends. */
export function control(fields: { type: string, [key: string]: unknown }, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: sse\ndata: ${JSON.stringify(fields)}\n\n`
}

export function message(data: unknown, id?: string, event?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}${event === undefined ? '' : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`
}

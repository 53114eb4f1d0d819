/** Text for the visitor after a failed `$fetch`: the server's message, if there is one. */
export function problemOf(error: unknown, otherwise: string): string {
  const { data } = error as { data?: { message?: string } }
  return data?.message ?? `${otherwise} Is the server there?`
}

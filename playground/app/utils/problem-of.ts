/** What a failed `$fetch` should tell a person: the server's own words, if it had any. */
export function problemOf(error: unknown, otherwise: string): string {
  const { data } = error as { data?: { message?: string } }
  return data?.message ?? `${otherwise} Is the server there?`
}

/**
 * Measures each of `names` once a round, in alternating order (A B, B A, …): a slow drift, as on a shared machine, then affects all of them
 * alike.
 */
export async function alternate<T>(names: readonly string[], rounds: number, measure: (name: string) => Promise<T>): Promise<Record<string, T[]>> {
  const results: Record<string, T[]> = Object.fromEntries(names.map(name => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 ? names.toReversed() : names) results[name]!.push(await measure(name))
  }
  return results
}

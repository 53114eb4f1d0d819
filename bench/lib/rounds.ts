/**
 * Measures each of `names` once a round, in an order that turns round (A B, B A, …): what changes slowly, as a machine
 * that others use too, touches all of them alike.
 */
export async function alternate<T>(names: readonly string[], rounds: number, measure: (name: string) => Promise<T>): Promise<Record<string, T[]>> {
  const results: Record<string, T[]> = Object.fromEntries(names.map(name => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 ? names.toReversed() : names) results[name]!.push(await measure(name))
  }
  return results
}

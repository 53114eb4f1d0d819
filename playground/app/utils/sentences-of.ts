/** Complete sentences of a text that is being written, and all of its sentences once it is whole. */
export function sentencesOf(text: string, isWhole: boolean): string[] {
  const sentences = Array.from(new Intl.Segmenter(undefined, { granularity: 'sentence' }).segment(text), ({ segment }) => segment)
  return isWhole ? sentences : sentences.slice(0, -1)
}

const said = new Set<string>()

/** Warns the developer, once of each mistake. For use behind `import.meta.dev` only: builds contain nothing of it. */
export function warnOnce(text: string): void {
  if (said.has(text)) return
  said.add(text)
  console.warn(`[nuxt-sse] ${text}`)
}

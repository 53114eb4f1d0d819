const said = new Set<string>()

/** Tells whoever develops of a mistake, each once. For use behind `import.meta.dev` only: nothing of it is in a build. */
export function warnOnce(text: string): void {
  if (said.has(text)) return
  said.add(text)
  console.warn(`[nuxt-sse] ${text}`)
}

/**
 * Names in the environment that look like options (`NUXT_SSE_REDISURL`) but are not: they have no effect. `options` must contain all
 * options that the environment may override, because Nitro derives the variables' names from them.
 */
export function unknownVariables(env: Record<string, unknown>, options: object): string[] {
  const known = new Set(namesOf(options))
  return Object.keys(env).filter(name => /^(?:NUXT|NITRO)_SSE_/.test(name) && !known.has(name.replace(/^[A-Z]+_SSE_/, '')))
}

function namesOf(options: object, prefix = ''): string[] {
  return Object.entries(options).flatMap(([key, value]) => {
    const name = prefix + key.replaceAll(/[A-Z]/g, '_$&').replaceAll('-', '_').toUpperCase()
    // Header names are the application's own: the variable holds all headers, as JSON.
    if (name === 'HEADERS') return [name, ...namesOf(value as object, 'HEADERS_')]
    return typeof value === 'object' && value !== null ? namesOf(value, `${name}_`) : [name]
  })
}

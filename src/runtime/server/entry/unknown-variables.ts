/**
 * Names in the environment that look like options (`NUXT_SSE_REDISURL`) and are none: they have no effect. `options` are those that the
 * environment may override, all of them, as Nitro looks for their names.
 */
export function unknownVariables(env: Record<string, unknown>, options: object): string[] {
  const known = new Set(namesOf(options))
  return Object.keys(env).filter(name => /^(?:NUXT|NITRO)_SSE_/.test(name) && !known.has(name.replace(/^[A-Z]+_SSE_/, '')))
}

function namesOf(options: object, prefix = ''): string[] {
  return Object.entries(options).flatMap(([key, value]) => {
    const name = prefix + key.replaceAll(/[A-Z]/g, '_$&').replaceAll('-', '_').toUpperCase()
    // Its own names are the application's: it is given as a whole, as JSON.
    if (name === 'HEADERS') return [name, ...namesOf(value as object, 'HEADERS_')]
    return typeof value === 'object' && value !== null ? namesOf(value, `${name}_`) : [name]
  })
}

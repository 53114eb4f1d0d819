import type { ResolvedHandlerOptions, SSEHandlerOptions } from './runtime/server/options'
import { invalidOption } from './runtime/shared/errors'
import { resolveHandlerOptions } from './runtime/server/options'

/** `sse` in `nuxt.config`: the defaults of every handler. */
export interface ModuleOptions extends SSEHandlerOptions {
  /**
   * What keeps channels. `memory` lives and dies with one process.
   * @default 'memory'
   */
  driver?: 'memory'
}

export interface ResolvedModuleOptions {
  driver: 'memory'
  handler: ResolvedHandlerOptions
}

const DRIVERS = ['memory']

/** Resolves what the user wrote into something complete. Throws `INVALID_OPTION`, saying what was expected. */
export function resolveOptions({ driver = 'memory', ...handler }: ModuleOptions = {}): ResolvedModuleOptions {
  if (!DRIVERS.includes(driver)) throw invalidOption('sse.driver', DRIVERS.map(name => `\`${JSON.stringify(name)}\``).join(' or '), driver)
  return { driver, handler: resolveHandlerOptions(handler) }
}

import { createConfigForNuxt } from '@nuxt/eslint-config/flat'
import { createNodeResolver, importX } from 'eslint-plugin-import-x'

const runtime = './src/runtime'
const server = `${runtime}/server`

/** Rooms of `src/runtime/server`, from the ground up, and which of the others each may import, with files that few may. `shared/` is open to all. */
const ROOMS = {
  lib: [],
  wire: ['lib'],
  tickets: ['wire'],
  http: ['lib', 'wire'],
  // With options.ts, which all rooms from here on may import.
  drivers: ['lib', 'wire'],
  limits: ['lib'],
  insight: ['lib', 'wire'],
  hub: ['lib', 'wire', 'drivers', 'insight'],
  connection: ['lib', 'wire', 'http', 'insight'],
  producers: ['lib', 'wire', 'drivers', 'insight'],
  context: ['lib', 'http', 'drivers', 'limits', 'insight', 'hub', 'connection', 'producers'],
  channel: ['resolve-options.ts', 'lib', 'wire', 'drivers', 'insight', 'hub', 'producers', 'context'],
  presence: ['lib', 'wire', 'drivers', 'hub', 'context', 'channel'],
  serve: ['lib', 'wire', 'http', 'limits', 'insight', 'hub', 'connection', 'context', 'channel', 'presence'],
  entry: ['resolve-options.ts', 'lib', 'wire', 'tickets', 'http', 'drivers', 'insight', 'context', 'channel', 'serve'],
  api: ['resolve-options.ts', 'lib', 'wire', 'tickets', 'http', 'drivers', 'insight', 'connection', 'producers', 'context', 'channel', 'presence', 'serve', 'entry'],
  // `nuxt-sse/ai` in `server/`.
  ai: ['lib', 'http', 'producers', 'channel', 'api'],
  devtools: ['resolve-options.ts', 'lib', 'http', 'drivers', 'insight', 'connection', 'context', 'channel', 'presence', 'serve', 'entry'],
}
const OPTIONLESS = ['lib', 'wire', 'tickets', 'http']
/** Rooms that `nuxt-sse/publisher` shares with the server: they know no framework. */
const SHARED_ROOMS = 'lib,wire,drivers,limits,insight,hub,connection,producers,context,channel,presence'

/** Each zone says what the files of `target` may not import. */
const arrows = [
  ...Object.entries(ROOMS).map(([room, allowed]) => ({
    target: `${server}/${room}`,
    from: server,
    except: [room, ...allowed, ...OPTIONLESS.includes(room) ? [] : ['options.ts']].map(path => `./${path}`),
    message: `${room}/ imports of the server only: ${allowed.join(', ') || 'nothing'}.`,
  })),
  { target: [`${server}/!(lib)/**`, `${server}/lib/*`, `${runtime}/nitro*/**`], from: `${server}/lib/platform/workers.ts`, message: 'Only platform.ts knows which platform it is: call its `platform`.' },
  { target: `${runtime}/publisher`, from: runtime, except: ['./publisher', './shared', './server/options.ts', './server/resolve-options.ts', ...['lib', 'wire', 'drivers', 'limits', 'insight', 'hub', 'producers', 'context', 'channel'].map(room => `./server/${room}`), './server/presence/presence-lookup.ts', './server/presence/types.ts'], message: 'publisher/ imports only shared/, what is at or below server/channel/, and the look-up of presence/.' },
  { target: server, from: `${runtime}/publisher`, message: 'The server does not need the publisher.' },
  { target: `${runtime}/shared`, from: runtime, except: ['./shared'], message: 'shared/ imports nothing outside shared/.' },
  { target: server, from: [`${runtime}/client`, `${runtime}/app`], message: 'The server never imports the client.' },
  { target: `${runtime}/client`, from: runtime, except: ['./client', './shared'], message: 'client/ imports only client/ and shared/.' },
  { target: `${runtime}/app`, from: runtime, except: ['./app', './client', './shared'], message: 'app/ imports only app/, client/ and shared/.' },
  { target: `${runtime}/ai`, from: runtime, except: ['./ai', './client', './shared', './server/ai'], message: 'ai/ imports only client/ and shared/; server-entry.ts imports server/ai/, too.' },
  { target: [server, `${runtime}/client`, `${runtime}/app`], from: `${runtime}/ai`, message: 'Only applications import `nuxt-sse/ai`.' },
  // For tests: drivers, and what they are made of; and the bytes that a server sends.
  { target: `${runtime}/test`, from: runtime, except: ['./test', './shared', './server/drivers', './server/wire', './server/options.ts'], message: 'test/ imports only test/, shared/, wire/, drivers and their options.' },
  { target: [server, `${runtime}/client`, `${runtime}/app`], from: `${runtime}/test`, message: 'What is for tests stays out of applications.' },
  // What they implement is named by alias (#sse/h3).
  { target: [`${runtime}/nitro2`, `${runtime}/nitro3`], from: runtime, except: ['./nitro2', './nitro3', './server/http', './server/lib', './server/insight'], message: 'nitro2/ and nitro3/ know the framework, and of the server only http/, lib/ and insight/.' },
  { target: runtime, from: './src', except: ['./runtime'], message: 'Only src/runtime is shipped as it is: nothing in it may import from outside.' },
]

export default createConfigForNuxt({
  features: { tooling: true, stylistic: true },
  dirs: { src: ['./playground/app', './playground', './test/fixtures/basic/app', './test/fixtures/ssr/app', './bench/app/app'] },
})
  .append({
    files: ['**/*.ts', '**/*.vue'],
    // It knows `Promise<void>`, but not `Promise.withResolvers<void>()`.
    rules: { '@typescript-eslint/no-invalid-void-type': 'off' },
  })
  .append({
    files: ['test/e2e/**', 'test/support/playground.ts'],
    // Playwright's innerText() is not the DOM's.
    rules: { 'unicorn/prefer-dom-node-text-content': 'off' },
  })
  .append({
    files: ['src/**/*.ts'],
    plugins: { 'import-x': importX },
    settings: { 'import-x/resolver-next': [createNodeResolver({ extensions: ['.ts', '.js', '.mjs'] })] },
    rules: { 'import-x/no-restricted-paths': ['error', { zones: arrows }] },
  })
  .append({
    files: ['src/runtime/client/**', 'src/runtime/shared/**', 'src/runtime/test/**'],
    rules: {
      'no-restricted-imports': ['error', {
        patterns: [{ group: ['vue', 'vue/*', '@vueuse/*', 'nuxt', 'nuxt/*', '#*', 'node:*', 'h3', 'nitropack/*'], message: 'nuxt-sse/client and nuxt-sse/test run without Vue, Nuxt and Node.' }],
      }],
    },
  })
  .append({
    files: ['src/runtime/server/**'],
    ignores: ['src/runtime/server/{entry,devtools}/**'],
    rules: {
      '@typescript-eslint/no-restricted-imports': ['error', {
        patterns: [{ regex: '^(?:h3|nitro(?:pack)?(?:/.*)?|node:.*)$', allowTypeImports: true, message: 'Only nitro2/, nitro3/, entry/ and devtools/ know the framework and Node: import #sse/h3 or #sse/nitro.' }],
      }],
    },
  })
  .append({
    files: [`src/runtime/server/{${SHARED_ROOMS}}/**`, 'src/runtime/server/*.ts', 'src/runtime/publisher/**'],
    // Chosen when an application is built.
    ignores: ['src/runtime/server/drivers/redis/build/**'],
    rules: {
      '@typescript-eslint/no-restricted-imports': ['error', {
        patterns: [{ regex: '^(?:h3|nitro(?:pack)?(?:/.*)?|node:.*|nuxt(?:/.*)?|vue|#.*)$', allowTypeImports: true, message: 'What nuxt-sse/publisher loads knows no framework: pass in what depends on one.' }],
      }],
    },
  })

import { createConfigForNuxt } from '@nuxt/eslint-config/flat'
import { createNodeResolver, importX } from 'eslint-plugin-import-x'

const runtime = './src/runtime'
const server = `${runtime}/server`

/**
 * The import arrows: shared ← drivers ← replay ← hub ← connection ← response ← utils, and shared ← client ← app.
 * Each zone says what the files of `target` may not import.
 */
const arrows = [
  { target: `${runtime}/shared`, from: runtime, except: ['./shared'], message: 'shared/ imports nothing outside shared/.' },
  { target: server, from: [`${runtime}/client`, `${runtime}/app`], message: 'The server never imports the client.' },
  { target: `${runtime}/client`, from: runtime, except: ['./client', './shared'], message: 'client/ imports only client/ and shared/.' },
  { target: `${runtime}/app`, from: server, message: 'The client never imports the server.' },
  // For tests: drivers, and what they are made of.
  { target: `${runtime}/test`, from: runtime, except: ['./test', './shared', './server/drivers', './server/options.ts'], message: 'test/ imports only test/, shared/, drivers and their options.' },
  { target: [server, `${runtime}/client`, `${runtime}/app`], from: `${runtime}/test`, message: 'What is for tests stays out of applications.' },
  // What they implement is named by alias (#sse/h3): of the server they know what a response is, and nothing that serves.
  { target: `${runtime}/nitro2`, from: runtime, except: ['./nitro2', './server/sink.ts', './server/tick.ts', './server/one-listener.ts', './server/response-headers.ts'], message: 'nitro2/ knows the framework, and of the server only what a response is.' },
  { target: `${runtime}/nitro3/!(plugin).ts`, from: runtime, except: ['./nitro3', './server/sink.ts', './server/insight.ts', './server/response-headers.ts'], message: 'nitro3/ knows the framework, and of the server only what a response is; its plugin is the server\'s beginning.' },
  { target: runtime, from: './src', except: ['./runtime'], message: 'Only src/runtime is shipped as it is: nothing in it may import from outside.' },
  ...layers([
    ['drivers', 'options', 'wire', 'tick', 'jitter', 'one-listener', 'abort', 'cleanups', 'sink', 'response-headers', 'request-io', 'keep-alive'],
    ['limits', 'ticket-secrets', 'ticket', 'message', 'public-error', 'admission', 'publish-rate', 'sse-connection', 'insight'],
    ['replay', 'page-limit'],
    ['channel-reader', 'hub-channel'],
    ['hub'],
    ['heartbeat', 'connection'],
    ['stream-source', 'stream-channel', 'request', 'revalidation', 'shutdown'],
    ['event-stream-reader', 'pump', 'lease'],
    ['producer'],
    ['producers'],
    ['sse-channel', 'channel', 'channel-read', 'context', 'stats', 'poll', 'asked-position', 'resumable'],
    ['web-response'],
    ['response', 'nitro'],
    ['signals'],
    ['admit', 'take-ticket'],
    ['serve', 'raw-connection'],
    ['utils', 'plugins', 'devtools'],
  ]),
]

/** No layer imports a later one. */
function layers(order) {
  return order.slice(0, -1).flatMap((layer, index) => layer.map(name => ({
    target: at(name),
    from: order.slice(index + 1).flat().map(at),
    message: `Against the arrows: ${name} may only import what comes before it.`,
  })))
}

function at(name) {
  return ['drivers', 'utils', 'plugins', 'devtools'].includes(name) ? `${server}/${name}` : `${server}/${name}.ts`
}

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
    ignores: ['src/runtime/server/{plugins,devtools}/**'],
    rules: {
      '@typescript-eslint/no-restricted-imports': ['error', {
        patterns: [{ regex: '^(?:h3|nitro(?:pack)?(?:/.*)?|node:.*)$', allowTypeImports: true, message: 'Only nitro2/, plugins/ and devtools/ know the framework and Node: import #sse/h3 or #sse/nitro.' }],
      }],
    },
  })

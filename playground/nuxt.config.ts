import { fileURLToPath } from 'node:url'

const favicon = 'data:image/svg+xml,' + encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="#0b7a5b" stroke-width="3.5" stroke-linecap="round"><path d="M6 22h14M6 16h20M6 10h9"/></svg>')

// Set before the first paint: otherwise the other theme would flash first.
const theme = `const t = localStorage.getItem('sse-theme'); if (t === 'light' || t === 'dark') document.documentElement.dataset.theme = t`

// Not inline: Nuxt's types of this option know few of Nitro's.
const nitro = {
  // The pages show their own code.
  serverAssets: [{ baseName: 'source', dir: fileURLToPath(new URL('.', import.meta.url)), pattern: '{app,server,worker}/**/*.{ts,vue}' }],
  typescript: { tsConfig: { include: ['../worker/**/*.ts'] } },
}

export default defineNuxtConfig({
  modules: ['../src/module', 'nuxt-auth-utils'],
  devtools: { enabled: false },
  app: {
    head: {
      title: 'nuxt-sse playground',
      htmlAttrs: { lang: 'en' },
      meta: [
        { name: 'viewport', content: 'width=device-width, initial-scale=1' },
        { name: 'description', content: 'A dashboard, a chat, a job, a feed and a list on server-sent events that lose nothing.' },
        { name: 'theme-color', media: '(prefers-color-scheme: light)', content: '#f8f9f7' },
        { name: 'theme-color', media: '(prefers-color-scheme: dark)', content: '#0e1110' },
      ],
      link: [{ rel: 'icon', href: favicon }],
      script: [{ innerHTML: theme }],
    },
  },
  css: ['~/assets/css/main.css'],
  // Lifetime of the token and the ticket on the notifications page, in milliseconds: NUXT_SIGN_IN_TOKEN_MS, NUXT_SIGN_IN_TICKET_MS.
  // `answerMs`: duration of an answer in the chat, in milliseconds (NUXT_ANSWER_MS). `worker`: the program that runs a job.
  runtimeConfig: { signIn: { tokenMs: 10_000, ticketMs: 60_000 }, answerMs: 10_000, worker: fileURLToPath(new URL('worker/start.mjs', import.meta.url)) },
  // Resolves as in an application that installed the package.
  alias: {
    'nuxt-sse/client': fileURLToPath(new URL('../src/runtime/client/index', import.meta.url)),
    'nuxt-sse/publisher': fileURLToPath(new URL('../src/runtime/publisher/index', import.meta.url)),
  },
  compatibilityDate: '2026-11-01',
  nitro,
  telemetry: false,
  // Only the page with a sign-in requests the session.
  auth: { loadStrategy: 'none' },
  // One second is long enough to see a reconnect, and short enough to wait for it. The client detects silence after two and a half
  // heartbeats. Visitors who close a page leave its list soon.
  sse: { retryMs: 1_000, heartbeatMs: 2_000, leaveAfterMs: 3_000 },
})

import { readFileSync } from 'node:fs'
import process from 'node:process'
import { defineConfig } from 'vitepress'
import { fileNames } from './file-names.mjs'
import { expand } from './generated.mjs'
import { writeLlmsTexts } from './llms.mjs'
import { linkOf, sections } from './pages.mjs'
import { slugify } from './slug.mjs'

const { repository } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

/** Where the code is hosted, as `owner/name` on GitHub: from package.json, or from the environment as GitHub Actions sets it. Without it, pages have no edit links. */
const hosted = /github(?:\.com)?[:/]([\w.-]+\/[\w-]+)/.exec(repository?.url ?? repository ?? '')?.[1] ?? process.env.GITHUB_REPOSITORY

const base = process.env.DOCS_BASE || '/'
const title = 'nuxt-sse'
const description = 'Reliable server-sent events for Nuxt: channels, useSSE(), resuming, polling fallback and Redis.'

/** Card of a shared link, drawn by `npm run card`. Its URL must be absolute: the site is published on GitHub Pages. */
const card = hosted ? `https://${hosted.split('/')[0].toLowerCase()}.github.io${base}card.png` : `${base}card.png`

/** A link out of `docs/` leads to the file where the code is hosted. If that is unknown, only its text remains. */
function outsideLinks(md) {
  md.core.ruler.push('outside-links', ({ tokens, env }) => {
    const up = (env.relativePath ?? '').split('/').length - 1
    for (const { children } of tokens) {
      for (const [index, token] of (children ?? []).entries()) {
        const href = token.type === 'link_open' ? token.attrGet('href') : null
        const outside = href?.match(/^((?:\.\.\/)+)(.*)$/)
        if (!outside || outside[1].length / 3 <= up) continue
        if (hosted) token.attrSet('href', `https://github.com/${hosted}/blob/main/${outside[2]}`)
        else {
          token.hidden = true
          Object.assign(token, { type: 'text', tag: '', content: '', nesting: 0 })
          const close = children.slice(index).find(({ type }) => type === 'link_close')
          Object.assign(close, { type: 'text', tag: '', content: '', nesting: 0 })
        }
      }
    }
  })
}

export default defineConfig({
  title,
  description,
  lang: 'en',
  base,
  rewrites: { 'README.md': 'index.md' },
  head: [
    ['link', { rel: 'icon', type: 'image/svg+xml', href: `${base}logo.svg` }],
    ['meta', { property: 'og:title', content: title }],
    ['meta', { property: 'og:description', content: description }],
    ['meta', { property: 'og:type', content: 'website' }],
    ['meta', { property: 'og:image', content: card }],
    ['meta', { property: 'og:image:width', content: '1200' }],
    ['meta', { property: 'og:image:height', content: '630' }],
    ['meta', { property: 'og:image:alt', content: title }],
    ['meta', { name: 'twitter:card', content: 'summary_large_image' }],
  ],
  markdown: {
    anchor: { slugify },
    // Shiki knows these by other names.
    languageAlias: { caddy: 'nginx' },
    config(md) {
      md.use(fileNames)
      md.use(outsideLinks)
    },
  },
  themeConfig: {
    logo: { src: '/logo.svg', alt: '' },
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Getting started', link: '/guide/getting-started' },
      { text: 'Deployment', link: '/operate/deployment' },
      { text: 'API', link: '/reference/server' },
      { text: 'Troubleshooting', link: '/guide/troubleshooting' },
    ],
    sidebar: sections().map(({ text, pages }) => ({ text, collapsed: text === 'Contributing' ? true : false, items: pages.map(({ path, title }) => ({ text: title, link: linkOf(path) })) })),
    ...hosted && { editLink: { pattern: `https://github.com/${hosted}/edit/main/docs/:path`, text: 'Edit this page' }, socialLinks: [{ icon: 'github', link: `https://github.com/${hosted}` }] },
  },
  vite: {
    plugins: [{ name: 'generated-parts', enforce: 'pre', transform: (code, id) => id.endsWith('.md') ? expand(code) : undefined }],
  },
  buildEnd: writeLlmsTexts,
})

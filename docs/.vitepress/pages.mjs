import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Pages in the order of the sidebar. A page's `title` and `description` are in its front matter. */
export const SECTIONS = [
  { text: 'Start', pages: ['README.md', 'guide/introduction.md', 'guide/getting-started.md', 'guide/playground.md'] },
  {
    text: 'Guide',
    pages: [
      'guide/channels.md',
      'guide/use-sse.md',
      'guide/gaps.md',
      'guide/several-channels.md',
      'guide/server-rendering.md',
      'guide/authentication.md',
      'guide/sharing.md',
      'guide/notifications.md',
      'guide/live-feeds.md',
      'guide/live-lists.md',
      'guide/presence.md',
      'guide/background-work.md',
      'guide/job-progress.md',
      'guide/publish-anywhere.md',
      'guide/ai-answers.md',
      'guide/use-chat.md',
      'guide/testing.md',
      'guide/migrating.md',
      'guide/browsers.md',
      'guide/troubleshooting.md',
    ],
  },
  { text: 'Recipes', pages: ['recipes/database-list.md', 'recipes/stores-and-caches.md', 'recipes/progressive-enhancement.md', 'recipes/binary-data.md', 'recipes/visible-heartbeats.md', 'recipes/filter-per-reader.md', 'recipes/many-channels.md', 'recipes/strict-csp.md'] },
  {
    text: 'Operate',
    pages: [
      'operate/redis.md',
      'operate/deployment.md',
      'operate/runtimes.md',
      'operate/monitoring.md',
      'operate/tracing.md',
      'operate/devtools.md',
      'operate/drivers.md',
      'operate/nuxt5.md',
    ],
  },
  {
    text: 'Reference',
    pages: [
      'reference/server.md',
      'reference/client.md',
      'reference/publisher.md',
      'reference/test.md',
      'reference/options.md',
      'reference/errors.md',
      'reference/types.md',
      'reference/protocol.md',
    ],
  },
  {
    text: 'Project',
    pages: ['project/guarantees.md', 'project/performance.md', 'guide/comparison.md', 'project/stability.md', 'project/upgrade.md'],
  },
  {
    text: 'Contributing',
    pages: [
      'contributing/guarantees.md',
      'contributing/client-states.md',
      'contributing/runtime-tests.md',
      'contributing/benchmarks.md',
      'contributing/writing-a-driver.md',
    ],
  },
]

const docs = new URL('../', import.meta.url)

/** `title` and `description` of a page, and its text without front matter. */
export function readPage(path) {
  const source = readFileSync(fileURLToPath(new URL(path, docs)), 'utf8')
  const [, head = '', text = source] = /^---\n(.*?)\n---\n(.*)$/s.exec(source) ?? []
  const field = name => new RegExp(`^${name}: *(.+)$`, 'm').exec(head)?.[1].replace(/^(['"])(.*)\1$/, '$2') ?? ''
  return { path, title: field('title'), description: field('description'), text }
}

export const sections = () => SECTIONS.filter(({ pages }) => pages.length > 0).map(({ text, pages }) => ({ text, pages: pages.map(readPage) }))

/** Path on the site: README.md is its first page. */
export const linkOf = path => `/${path === 'README.md' ? '' : path.replace(/\.md$/, '')}`

import { describe, expect, it } from 'vitest'
import { readBlocks, readPage } from '../../support/markdown'

/** Lines of the block for a file. */
async function blockOf(page: string, path: string): Promise<string[]> {
  return readBlocks(await readPage(page)).find(({ file }) => file === path)!.text.trim().split('\n')
}

/** Ignores how lint formats a file. */
const withoutSpace = (text: string) => text.replaceAll(/\s+/g, '')

describe('guide/use-chat.md', () => {
  const page = 'docs/guide/use-chat.md'

  it.each([
    ['the server', 'server/api/plain-chat.post.ts', 'server/api/chat.ts'],
    ['the component', 'app/pages/plain-chat.vue', 'app/pages/chats/[id].vue'],
  ])('changes or adds at most four lines of a plain useChat: %s', async (_, plain, resuming) => {
    const before = await blockOf(page, plain)
    const after = await blockOf(page, resuming)
    const script = after.includes('</script>') ? after.slice(0, after.indexOf('</script>')) : after
    const own = script.filter(line => line.trim() && !before.includes(line))
    expect(own.length, own.join('\n')).toBeLessThanOrEqual(4)
    expect(own.join('\n')).toMatch(/nuxt-sse\/ai/)
  })

  it('shows the page that browsers run in tests', async () => {
    const tested = await readPage('test/fixtures/basic/app/pages/chats/[id].vue')
    const shown = (await blockOf(page, 'app/pages/chats/[id].vue')).join('\n').replace('new SSEChatTransport()', 'new SSEChatTransport({ api: \'/api/chat-answers\' })')
    expect(withoutSpace(tested)).toBe(withoutSpace(shown))
  })
})

it('guide/ai-answers.md shows the sentences for screen readers that browsers run in tests', async () => {
  expect(await readPage('test/fixtures/basic/app/utils/sentences-of.ts')).toBe(`${(await blockOf('docs/guide/ai-answers.md', 'app/utils/sentences-of.ts')).join('\n')}\n`)
})

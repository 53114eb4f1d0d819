/** A path alone in the line above a block of code, as in README.md, becomes the block's title. It reads well as plain Markdown, too. */
const FILE_NAME = /^[\w./[\]-]+\.\w+$/

export function fileNames(md) {
  md.core.ruler.push('file-names', ({ tokens }) => {
    for (let index = tokens.length - 1; index >= 3; index--) {
      const [open, inline] = tokens.slice(index - 3, index)
      if (tokens[index].type !== 'fence' || open.type !== 'paragraph_open' || inline.children?.length !== 1) continue
      const [code] = inline.children
      if (code.type !== 'code_inline' || !FILE_NAME.test(code.content)) continue
      tokens[index].meta = { ...tokens[index].meta, file: code.content }
      tokens.splice(index -= 3, 3)
    }
  })
  const fence = md.renderer.rules.fence
  md.renderer.rules.fence = (tokens, index, ...rest) => {
    const html = fence(tokens, index, ...rest)
    const file = tokens[index].meta?.file
    return file ? `<div class="code-file"><p class="code-file-name">${md.utils.escapeHtml(file)}</p>${html}</div>` : html
  }
}

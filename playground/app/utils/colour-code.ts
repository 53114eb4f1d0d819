/** Part of a source file. Parts without a kind are plain. */
export interface CodePart {
  text: string
  kind?: 'comment' | 'text' | 'word'
}

const PARTS = /(?<comment>\/\*[\s\S]*?\*\/|(?<!:)\/\/[^\n]*|<!--[\s\S]*?-->)|(?<text>'(?:\\.|[^'\\\n])*'|"[^"\n]*"|`(?:\\.|[^`\\])*`)|(?<word>\b(?:async|await|catch|const|default|else|export|extends|false|finally|for|from|function|if|import|in|interface|let|new|null|of|return|throw|true|try|type|typeof|undefined|void|while|yield)\b(?![-:?]))/g

/** Splits TypeScript or Vue source into parts that deserve a colour. Simple on purpose: a wrong colour does no harm. */
export function colourCode(source: string): CodePart[] {
  const parts: CodePart[] = []
  let end = 0
  for (const { 0: text, index, groups } of source.matchAll(PARTS)) {
    if (index > end) parts.push({ text: source.slice(end, index) })
    parts.push({ text, kind: groups!.comment ? 'comment' : groups!.text ? 'text' : 'word' })
    end = index + text.length
  }
  parts.push({ text: source.slice(end) })
  return parts
}

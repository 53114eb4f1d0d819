/** Stand-in for a language model: finds the topic of a question, and produces a prepared text about it. */

interface Topic {
  words: RegExp
  sentences: string[]
}

const TOPICS: Topic[] = [
  {
    words: /back.?pressure|slow|memory|buffer/i,
    sentences: [
      'Back pressure is what keeps a fast source from drowning a slow reader.',
      'When a socket is full, the server does not pull more from its source; a generator simply waits at its `yield`.',
      'A reader of a channel costs even less: the log is the buffer, and the server keeps only the position of the reader.',
      'So ten thousand phones in ten thousand tunnels cost about as much as ten thousand numbers.',
    ],
  },
  {
    words: /reconnect|resume|position|lost|lose|offline|network/i,
    sentences: [
      'Every message of a channel has a position: an epoch, which changes when the log is lost, and an offset that counts from one without holes.',
      'A client that reconnects sends its last position, and gets exactly the messages that follow it.',
      'If those are no longer kept, it receives a gap, with the number of messages it missed.',
      'You can try it: the button beside this text cuts the connection for real.',
    ],
  },
  {
    words: /poll|proxy|block|firewall|transport/i,
    sentences: [
      'Some proxies hold a response back until it is complete, which a stream never is; there is no error, and nothing arrives.',
      'After two attempts without a single byte, the client polls the same route for JSON instead.',
      'Both transports use the same positions, so the switch loses nothing and repeats nothing.',
      'From time to time the client retries the stream in the background.',
    ],
  },
  {
    words: /nuxt|vue|nitro|composable|module/i,
    sentences: [
      'You add the module to `nuxt.config`, return a generator or a channel from a route, and call `useSSE` in a component.',
      'The messages are typed from the route, so renaming a field on the server turns red in the template.',
      'The composable connects when the component is mounted and ends with it; on the server it does nothing at all.',
    ],
  },
  {
    words: /sse|event|stream|websocket/i,
    sentences: [
      'Server-sent events are the plainest way to keep a page up to date: one HTTP response that does not end.',
      'Text goes down the line, a blank line ends each message, and any proxy, log or `curl` can read along.',
      'For data that flows mostly one way, such as answers, progress and notifications, nothing more is needed.',
      'The standard leaves the rest to you: heartbeats, resumption, and detecting missed messages.',
    ],
  },
]

const OPENINGS = ['Good question.', 'Here is the short version.', 'Gladly.', 'In a few words:']
const FALLBACK = [
  'I only know a handful of things, being a few templates in a trench coat.',
  'Ask me about event streams, back pressure, resuming after a cut, polling fallbacks, or how this fits into Nuxt.',
  'Every answer reaches you token by token over one HTTP response.',
]

/** Tokens of an answer, which joined are its text. Equal questions get equal answers. */
export function generateTokens(prompt: string): string[] {
  const about = TOPICS.filter(({ words }) => words.test(prompt)).slice(0, 2)
  const seed = [...prompt].reduce((sum, character) => (sum * 31 + character.codePointAt(0)!) >>> 0, 7)
  const paragraphs = about.length ? about.map(({ sentences }) => sentences.join(' ')) : [FALLBACK.join(' ')]
  const text = `${OPENINGS[seed % OPENINGS.length]} ${paragraphs.join('\n\n')}`
  // Long words arrive in two pieces, as they do from a real tokenizer.
  return text.match(/\s*\S{1,7}/g) ?? []
}

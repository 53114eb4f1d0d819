import { clientError } from '../response'

/** Characters of one answer that are gathered before it is given up: a batch of ours is a sixteenth of it at most, unless its last message is larger. */
const MAX_ANSWER_LENGTH = 67_108_864

/** The body as JSON. `touch` is called whenever there is more of it. Throws `MESSAGE_TOO_LARGE`. */
export async function readJson(response: Response, touch = () => {}): Promise<unknown> {
  const decoder = new TextDecoder()
  const reader = response.body!.getReader()
  let text = ''
  while (true) {
    const { done, value } = await reader.read()
    if (done) return JSON.parse(text)
    touch()
    text += decoder.decode(value, { stream: true })
    if (text.length > MAX_ANSWER_LENGTH) throw clientError('MESSAGE_TOO_LARGE', 'An answer is too large')
  }
}

import { clientError } from '../response'

/** Maximum length of a response, in characters. A server's batch reaches a sixteenth of it, unless its last message is larger. */
const MAX_ANSWER_LENGTH = 67_108_864

/** Body as JSON. Calls `touch` for each piece that arrives. Throws `MESSAGE_TOO_LARGE`. */
export async function readJson(response: Response, touch = () => {}): Promise<unknown> {
  const decoder = new TextDecoder()
  const reader = response.body!.getReader()
  let text = ''
  while (true) {
    const { done, value } = await reader.read()
    if (done) return JSON.parse(text)
    touch()
    text += decoder.decode(value, { stream: true })
    if (text.length > MAX_ANSWER_LENGTH) throw clientError('MESSAGE_TOO_LARGE', 'A response is too large')
  }
}

import { SSEError } from '../../shared/errors'
import { DISCONNECTED, sendDisconnect } from '../channel/send-disconnect'
import type { SSEContext } from '../context/context'
import type { Recorder } from './recorder'

/** Disconnect from the tab: one open stream by its ID, or all streams and polls of a client key. */
export interface DevtoolsDisconnect {
  connection?: number
  key?: string
  /** Asks the clients to reconnect instead. */
  leave?: boolean
}

/** Ends streams as `disconnectSSE` does. Throws `INVALID_OPTION`, also if the stream is closed. */
export async function disconnectFromTab(context: SSEContext, recorder: Recorder, { connection: id, key, leave = false }: DevtoolsDisconnect): Promise<void> {
  if (id === undefined) {
    await sendDisconnect(context, key!, { leave })
    return
  }
  const connection = recorder.find(id)
  if (!connection) throw new SSEError('INVALID_OPTION', 'The stream is closed.', { statusCode: 400 })
  if (leave) connection.leave()
  else connection.fail(DISCONNECTED)
}

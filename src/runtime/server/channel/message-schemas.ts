import { SSEError, invalidOption } from '../../shared/errors'
import { checkSchema, isSchema, schemaFailed } from '../../shared/check-schema'
import { assertNames, check, object } from '../../shared/rules'
import type { Rule } from '../../shared/rules'
import type { SSESchema, SSESchemas } from '../../shared/standard-schema'
import { within } from '../lib/within'
import { assertEvent } from '../wire/encode'
import { TaggedMessage } from '../wire/message'
import { DEFAULT_HANDLER_OPTIONS } from '../options'
import { resolveRetention } from '../resolve-options'
import type { SSEChannelOptions, SSESchemaOptions } from './types'

const SCHEMA: Rule = { test: isSchema, expected: 'a Standard Schema, such as one of zod, valibot or arktype' }
const EVENTS = object('of event names and schemas')

const NAMES = { schema: true, events: true, retention: true }

/** Schemas of a channel's messages. Each message is checked once, when it is published; readers check nothing. */
export class MessageSchemas {
  /** Schema of unnamed messages; without `events`, of all. */
  readonly #schema?: SSESchema
  readonly #events?: ReadonlyMap<string, SSESchema>

  /** Throws `INVALID_OPTION`. */
  constructor(schema: SSESchema | undefined, events: SSESchemas | undefined) {
    if (schema !== undefined) check('schema', schema, SCHEMA)
    this.#schema = schema
    if (events === undefined) return
    check('events', events, EVENTS)
    for (const [name, of] of Object.entries(events)) {
      assertName(name)
      check(`events.${name}`, of, SCHEMA)
    }
    this.#events = new Map(Object.entries(events))
  }

  /**
   * Returns the item with its data replaced by its schema's output; a promise of it if the schema is asynchronous. `event` overrides the
   * item's own. Throws, or rejects with, `INVALID_EVENT`, `RESERVED_EVENT`, `INVALID_MESSAGE` or `SCHEMA_FAILED`. A schema is given up
   * after `timeoutMs`, since later messages wait for it.
   */
  parse(item: unknown, event: string | undefined, timeoutMs: number): unknown {
    const tagged = item instanceof TaggedMessage ? item : undefined
    const schema = this.#schemaOf(event ?? tagged?.fields.event)
    const replace = (data: unknown) => tagged ? new TaggedMessage(data, tagged.fields) : data
    const output = checkSchema(schema, tagged ? tagged.data : item)
    if (!(output instanceof Promise)) return replace(output)
    return within(performance.now() + timeoutMs, output, () => schemaFailed(`did not answer within ${timeoutMs} ms`)).then(replace)
  }

  #schemaOf(event: string | undefined): SSESchema {
    assertEvent(event)
    const schema = event === undefined || !this.#events ? this.#schema : this.#events.get(event)
    if (schema) return schema
    const names = [...this.#events!.keys()].map(name => `\`${name}\``).join(', ')
    // Not the name that was given: it may come from a client.
    throw new SSEError('INVALID_EVENT', event === undefined ? `Expected a message with an event name, as this channel has no \`schema\`: one of ${names}.` : `Expected the event name of a message to be one of the channel's \`events\`: ${names}.`, { statusCode: 400 })
  }
}

/** Checks the options of a channel, once for all of its handles. Throws `INVALID_OPTION`. */
export function readChannelOptions(options: SSESchemaOptions): SSEChannelOptions & { schemas?: MessageSchemas } {
  assertNames(options, NAMES)
  const { schema, events, retention } = options
  resolveRetention(retention, DEFAULT_HANDLER_OPTIONS.retention)
  return { retention, schemas: schema === undefined && events === undefined ? undefined : new MessageSchemas(schema, events) }
}

function assertName(name: string): void {
  try {
    assertEvent(name)
  }
  catch (cause) {
    throw invalidOption('events', 'an object whose keys are event names', name, { cause })
  }
}

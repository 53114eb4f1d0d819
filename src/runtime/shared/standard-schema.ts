import type { SSEMessage } from './types'

/**
 * Standard Schema, version 1 (standardschema.dev): the interface that zod, valibot, arktype and others implement. Declared here, so that
 * the package depends on none of them.
 */
export interface SSESchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: Input, readonly output: Output } | undefined
  }
}

export type SchemaResult<Output = unknown>
  = | { readonly value: Output, readonly issues?: undefined }
    | { readonly issues: readonly SchemaIssue[] }

export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** Schemas of named messages, by event name. */
export type SSESchemas = Readonly<Record<string, SSESchema>>

/** Type of the data that a schema takes. */
export type SchemaInput<S> = S extends { readonly '~standard': { readonly types?: { readonly input: infer T } | undefined } } ? T : unknown

/** Type of the data that a schema returns. */
export type SchemaOutput<S> = S extends { readonly '~standard': { readonly types?: { readonly output: infer T } | undefined } } ? T : unknown

/** Issue of refused data, as in `details.issues` of an `INVALID_MESSAGE`. */
export interface SSEIssue {
  /** Keys and indexes that lead to the value. Empty for the data itself. */
  path: (string | number)[]
  message: string
}

type NamedMessage<E extends SSESchemas> = { [Name in keyof E & string]: { id?: string, event: Name, data: SchemaOutput<E[Name]> } }[keyof E & string]

/** Messages of a channel, or a stream, with schemas. */
export type SSESchemaMessage<S, E> = E extends SSESchemas
  ? NamedMessage<E> | (S extends SSESchema ? SSEMessage<SchemaOutput<S>, undefined> : never)
  : SSEMessage<SchemaOutput<S>>

/** Options of a client that name at least one schema. */
export type GivenSchemas<S, E> = { schema: S, events?: E } | { schema?: S, events: E }

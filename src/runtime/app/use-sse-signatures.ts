import type { MaybeRefOrGetter } from 'vue'
import type { GivenSchemas, SSESchema, SSESchemaMessage, SSESchemas } from '../shared/standard-schema'
import type { SSEMessage } from '../shared/types'
import type { UseSSEOptions, UseSSEReturn } from './call'
import type { CallCheck, ChannelKey, FromRoute, MaybeUrl, MessageOfChannel, MessageOfRoute, RefCheck, SSERoute, UrlIfTyped } from './types'

/** Signatures of `useSSE`. */
export interface UseSSE {
  <S extends SSESchema | undefined = undefined, E extends SSESchemas | undefined = undefined, State = SSESchemaMessage<S, E>['data'] | undefined, Url extends string = string>(url: MaybeUrl<Url>, options: UseSSEOptions<SSESchemaMessage<S, E>, State> & GivenSchemas<S, E>): UseSSEReturn<SSESchemaMessage<S, E>, State>
  <T = FromRoute, State = T | undefined>(
    url: UrlIfTyped<T>,
    options?: RefCheck<UseSSEOptions<SSEMessage<T>, State>>,
  ): UseSSEReturn<SSEMessage<T>, State>
  <Url extends SSERoute, Method extends string = 'get', Key extends ChannelKey<MessageOfRoute<Url, Method>> | undefined = undefined, State = MessageOfChannel<MessageOfRoute<Url, Method>, Key>['data'] | undefined>(
    this: CallCheck<Url, Method, State>,
    url: MaybeRefOrGetter<Url>,
    options?: RefCheck<UseSSEOptions<MessageOfChannel<MessageOfRoute<Url, Method>, Key>, State, Method, Key>>,
  ): UseSSEReturn<MessageOfChannel<MessageOfRoute<Url, Method>, Key>, State, Key>
  <T = unknown, State = T | undefined>(url?: unknown extends T ? null : MaybeUrl, options?: RefCheck<UseSSEOptions<SSEMessage<T>, State>>): UseSSEReturn<SSEMessage<T>, State>
  // Not merged with the signature above: TypeScript keeps the literal of a getter only where no other type may be returned.
  <Url extends SSERoute, Method extends string = 'get', Key extends ChannelKey<MessageOfRoute<Url, Method>> | undefined = undefined, State = MessageOfChannel<MessageOfRoute<Url, Method>, Key>['data'] | undefined>(
    this: CallCheck<Url, Method, State>,
    // eslint-disable-next-line @typescript-eslint/unified-signatures
    url: MaybeUrl<Url>,
    options?: RefCheck<UseSSEOptions<MessageOfChannel<MessageOfRoute<Url, Method>, Key>, State, Method, Key>>,
  ): UseSSEReturn<MessageOfChannel<MessageOfRoute<Url, Method>, Key>, State, Key>
}

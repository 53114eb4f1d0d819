import { mountSuspended } from '@nuxt/test-utils/runtime'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { defineComponent, h, nextTick, ref } from 'vue'
import { useSSE } from '../../src/runtime/app/composables/use-sse'
import { reduceSSEPresence } from '../../src/runtime/app/reduce-sse-presence'
import { eventually } from '../support/conditions'
import type { ScriptedServer } from '../support/scripted-server'
import { message, startScriptedServer } from '../support/scripted-server'

let server: ScriptedServer
beforeEach(async () => {
  server = await startScriptedServer()
})
afterEach(() => server.close())

const members = (...ids: string[]) => ({ type: 'members', members: ids.map(id => ({ id, data: { name: id } })) })

it('components with `share: \'page\'` show one list over one connection, also one that is mounted late', async () => {
  server.script(
    x => x.open({ position: 'start' }).write(message(members('ann', 'ben'), 'e1.2')),
    x => x.batch([{ data: members('ann', 'cleo') }], { position: 'e1.4' }),
  )
  const Who = defineComponent(() => {
    const { data: people } = useSSE(server.url, { share: 'page', initial: [], reduce: reduceSSEPresence<{ name: string }> })
    return () => h('p', people.value.map(({ data }) => data!.name).join())
  })
  const shown = ref([0, 1])
  const wrapper = await mountSuspended(defineComponent(() => () => h('div', shown.value.map(key => h(Who, { key })))))
  const texts = () => wrapper.findAll('p').map(one => one.text())
  await eventually(() => expect(texts()).toEqual(['ann,ben', 'ann,ben']))
  server.exchanges[0]!.write(message({ type: 'leave', id: 'ben' }, 'e1.3') + message({ type: 'join', member: { id: 'cleo', data: { name: 'cleo' } } }, 'e1.4'))
  await eventually(() => expect(texts()).toEqual(['ann,cleo', 'ann,cleo']))
  shown.value = [0, 1, 2]
  await nextTick()
  await eventually(() => expect(texts()).toEqual(['ann,cleo', 'ann,cleo', 'ann,cleo']))
  expect(server.exchanges.map(({ query }) => query.transport)).toEqual([undefined, 'poll'])

  server.exchanges[0]!.write(message({ type: 'update', member: { id: 'cleo', data: { name: 'Cleo' } } }, 'e1.5'))
  await eventually(() => expect(texts()).toEqual(['ann,Cleo', 'ann,Cleo', 'ann,Cleo']))
  // The components that came first leave, and the last one keeps the connection.
  shown.value = [2]
  await nextTick()
  server.exchanges[0]!.write(message({ type: 'leave', id: 'ann' }, 'e1.6'))
  await eventually(() => expect(texts()).toEqual(['Cleo']))
  expect(server.exchanges[0]!.closed).toBe(false)
  wrapper.unmount()
  await eventually(() => expect(server.exchanges[0]!.closed).toBe(true))
})

// Starts a function for Node like Vercel: a listener, and a server in front of it that knows the current request.
import { AsyncLocalStorage } from 'node:async_hooks'
import { createServer } from 'node:http'
import process from 'node:process'
import { pathToFileURL } from 'node:url'

const requests = new AsyncLocalStorage()
globalThis[Symbol.for('@vercel/request-context')] = { get: () => requests.getStore() }
const waitUntil = (promise) => {
  console.log('Kept alive')
  promise.finally(() => console.log('Let go'))
}

const { default: listener } = await import(pathToFileURL(process.argv[2]).href)
createServer((request, response) => requests.run({ waitUntil }, listener, request, response))
  .listen(Number(process.env.PORT), process.env.HOST, () => console.log('Listening '))

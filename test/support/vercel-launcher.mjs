// As Vercel starts a function for Node: a listener, and a server in front of it.
import { createServer } from 'node:http'
import process from 'node:process'
import { pathToFileURL } from 'node:url'

const { default: listener } = await import(pathToFileURL(process.argv[2]).href)
createServer(listener).listen(Number(process.env.PORT), process.env.HOST, () => console.log('Listening '))

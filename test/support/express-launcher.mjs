import { createRequire } from 'node:module'
import process from 'node:process'
import { pathToFileURL } from 'node:url'

/** Express application with a listener that Nitro built (`node-listener`). With `OWN_SIGNALS` it ends itself, as Express documents. */

const { default: express } = await import(pathToFileURL(createRequire(import.meta.url).resolve('express')).href)
const { listener } = await import(pathToFileURL(process.argv[2]).href)

const app = express()
app.get('/express', (_, response) => response.send('Express'))
app.use(listener)
const server = app.listen(Number(process.env.PORT), process.env.HOST, () => console.log('Listening '))
if (process.env.OWN_SIGNALS) process.once('SIGTERM', () => server.close(() => console.log('Express has closed.')))

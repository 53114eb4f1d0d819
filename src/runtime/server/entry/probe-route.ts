import { defineEventHandler } from '#sse/h3'
import { useSSEContext } from './runtime-context'
import { serveProbe } from '../serve/probe'

/** `GET /__sse/probe`, below `app.baseURL`. */
export default defineEventHandler(event => serveProbe(event, useSSEContext()))

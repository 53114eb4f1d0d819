import { defineEventHandler } from '#sse/h3'
import { useSSEContext } from './nitro'
import { serveProbe } from './probe'

/** `GET /__sse/probe`, below `app.baseURL`. */
export default defineEventHandler(event => serveProbe(event, useSSEContext()))

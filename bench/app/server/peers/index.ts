import { bare } from './bare'
import { betterSse } from './better-sse'
import { h3 } from './h3'
import { hono } from './hono'
import { ours } from './ours'
import type { Peer } from './peer'
import { quietAlone, quietBeside, several } from './several'

export const peers: Record<string, Peer> = { 'ours': ours, 'bare': bare, 'h3': h3, 'better-sse': betterSse, 'hono': hono, several, 'quiet-alone': quietAlone, 'quiet-beside': quietBeside }

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './built-server'
import { eventually } from './conditions'

export interface Nginx {
  url: string
  stop(): Promise<void>
}

/** An nginx in front of a server, which buffers every response and ignores `X-Accel-Buffering`. */
export function startBufferingNginx(target: string): Promise<Nginx> {
  return startNginx(port => `
    server {
      listen 127.0.0.1:${port};
      location / {
        proxy_pass ${target};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_buffering on;
        proxy_buffers 8 64k;
        proxy_buffer_size 64k;
        proxy_ignore_headers X-Accel-Buffering;
      }
    }`)
}

/** A real nginx with the servers from `configure`, one of which listens on the port. */
export async function startNginx(configure: (port: number) => string): Promise<Nginx> {
  const dir = await mkdtemp(join(tmpdir(), 'nuxt-sse-nginx-'))
  const port = await freePort()
  const path = (name: string) => JSON.stringify(join(dir, name))
  await writeFile(join(dir, 'nginx.conf'), `
    daemon off;
    master_process off;
    pid ${path('pid')};
    error_log stderr crit;
    events { worker_connections 256; }
    http {
      access_log off;
      ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${path(name)};`).join(' ')}
      ${configure(port)}
    }
  `)
  const child = spawn('nginx', ['-p', dir, '-c', join(dir, 'nginx.conf')], { stdio: ['ignore', 'ignore', 'inherit'] })
  const exited = once(child, 'exit')
  const url = `http://127.0.0.1:${port}`
  // Until it listens. A process that has ended will not.
  await Promise.race([eventually(() => fetch(url)), exited.then(([code]) => {
    throw new Error(`nginx ended with ${code}.`)
  })])
  return {
    url,
    async stop() {
      child.kill('SIGKILL')
      await exited
      await rm(dir, { recursive: true, force: true })
    },
  }
}

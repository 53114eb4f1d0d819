import { fileURLToPath } from 'node:url'

const root = new URL('../../', import.meta.url)

export const rootDir = fileURLToPath(root)

/** The applications that end-to-end tests run, built once for all of them. */
export const projects = {
  basic: fileURLToPath(new URL('test/fixtures/basic', root)),
  ssr: fileURLToPath(new URL('test/fixtures/ssr', root)),
  nodeCluster: fileURLToPath(new URL('test/fixtures/node-cluster', root)),
  playground: fileURLToPath(new URL('playground', root)),
}

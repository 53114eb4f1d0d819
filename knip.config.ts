import type { KnipConfig } from 'knip'

/** `npm run knip` finds files, exports and dependencies that nothing uses. */
export default {
  // A type in the signature of an exported function may be exported, too.
  ignoreExportsUsedInFile: { interface: true, type: true },
  workspaces: {
    '.': {
      // Files that no import leads to: Nuxt, Nitro, Vitest, an alias of `src/build/server-parts.ts` or a command loads them.
      entry: [
        'src/{module,nitro}.ts',
        'src/runtime/{ai,client,publisher,test}/index.ts',
        'src/runtime/ai/server-entry.ts',
        'src/runtime/app/composables/*.ts',
        'src/runtime/client/fallback/{index,with-schemas}.ts',
        'src/runtime/nitro{2,3}/*.ts',
        'src/runtime/server/{api,entry}/*.ts',
        'src/runtime/server/devtools/{handler,plugin}.ts',
        'src/runtime/server/devtools/page/*.js',
        'src/runtime/server/drivers/redis/build/*.ts',
        'test/**/*.{test,test-d,config}.ts',
        'test/{fixtures,package/peers}/**',
        'test/support/{*.mjs,remote-control.ts}',
        'bench/{run.ts,rows/*.ts,app/**}',
        'docs/.vitepress/{config,theme/index}.mjs',
        'docs/{card,check,diagrams/draw}.mjs',
        '.ci/*.mjs',
        'build.config.ts',
      ],
      project: ['**/*.{ts,mjs,js,vue}'],
      ignoreDependencies: [
        // Run by their paths, or loaded by Nuxt.
        'bun', 'deno', 'node', '@nuxt/devtools',
        // Applications of the tests install these, at the locked version.
        'express', 'socket.io', 'socket.io-client',
        // Parts of Nuxt, Nitro, Vite and test-utils, at the version that these choose.
        'esbuild', 'hookable', 'node-mock-http', 'rollup', 'unbuild', 'vitest-environment-nuxt', 'vue',
        // In `docs/package.json`.
        'vitepress',
      ],
      ignoreUnresolved: ['#build/server-routes'],
    },
    'playground': {
      entry: ['{app,server,shared}/**', '*.mjs'],
      project: ['**/*.{ts,mjs,vue}'],
      ignoreDependencies: ['nuxt-sse', 'ofetch', 'unstorage', 'vue'],
    },
  },
} satisfies KnipConfig

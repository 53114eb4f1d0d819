import type { KnipConfig } from 'knip'

/** `npm run knip` finds files, exports and dependencies that nothing uses. */
export default {
  // A type in the signature of an exported function may be exported, too.
  ignoreExportsUsedInFile: { interface: true, type: true },
  // These plugins would load Nuxt, which takes long and writes files.
  nuxt: false,
  vitest: false,
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
        '!**/.{nuxt,nitro,output}/**',
        '!test/fixtures/.*/**',
        'test/support/{*.mjs,remote-control.ts}',
        'test/{e2e/build-fixtures,package/pack}.ts',
        'bench/{run.ts,type-checks.ts,rows/*.ts,app/nuxt.config.ts,app/{app,server}/**}',
        'docs/.vitepress/{config,theme/index}.mjs',
        'docs/{card,check,write-reference,diagrams/draw}.mjs',
        '.ci/*.mjs',
        '{build,nuxt,vitest}.config.ts',
      ],
      // Without what a build leaves in an application.
      project: ['**/*.{ts,mjs,js,vue}', '!**/.{nuxt,nitro,output}/**', '!test/fixtures/.*/**'],
      ignoreDependencies: [
        // Run by their paths, or loaded by Nuxt.
        '@nuxt/devtools', '@yarnpkg/cli-dist', 'bun', 'deno', 'node', 'nuxt-security', 'pnpm',
        // Applications of the tests install these, at the locked version.
        'express',
        // Parts of Nuxt, Nitro, Vite and test-utils, at the version that these choose.
        'esbuild', 'hookable', 'node-mock-http', 'rollup', 'unbuild',
        // Imported by pages that tests write from the recipes in `docs/`.
        '@pinia/colada', '@tanstack/vue-query', 'pinia',
        // In `docs/package.json`.
        'vitepress',
      ],
      ignoreUnresolved: ['#build/server-routes'],
    },
    'playground': {
      entry: ['{app,server,shared,worker}/**', 'nuxt.config.ts', '*.mjs'],
      paths: { '~/*': ['./app/*'], '#shared/*': ['./shared/*'] },
      project: ['**/*.{ts,mjs,vue}'],
      // Loaded by Nuxt, or parts of it.
      ignoreDependencies: ['nuxt-auth-utils', 'nuxt-sse', 'ofetch', 'unstorage'],
    },
  },
} satisfies KnipConfig

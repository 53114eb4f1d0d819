import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { inject } from 'vitest'
import { install } from './install'

const run = promisify(execFile)

export interface PackedAppInit {
  dependencies: Record<string, string>
  /** Folders whose content is copied. */
  from?: string[]
  /** Files by their path. */
  files?: Record<string, string>
  /** Folder of the lockfile that sets the versions. Default: the repository. */
  lockedBy?: string
}

/** An application outside the repository, with the packed package, and with locked versions of all others. */
export class PackedApp {
  private constructor(private readonly root: string) {}

  get dir(): string {
    return join(this.root, 'app')
  }

  static async create({ dependencies, from = [], files = {}, lockedBy }: PackedAppInit): Promise<PackedApp> {
    const app = new PackedApp(await mkdtemp(join(tmpdir(), 'nuxt-sse-packed-')))
    await mkdir(app.dir)
    for (const folder of from) await cp(folder, app.dir, { recursive: true })
    const manifest = { name: 'packed-app', private: true, type: 'module', dependencies: { ...dependencies, 'nuxt-sse': `file:${inject('tarball')}` } }
    for (const [path, text] of Object.entries({ ...files, 'package.json': JSON.stringify(manifest) })) {
      await mkdir(dirname(join(app.dir, path)), { recursive: true })
      await writeFile(join(app.dir, path), text)
    }
    await install(app.dir, { lockedBy })
    return app
  }

  /** Runs a script of an installed package. Its output is the error if it fails. */
  async node(...args: string[]): Promise<string> {
    try {
      return (await run(process.execPath, args, { cwd: this.dir, maxBuffer: 1e8, env: { ...process.env, NODE_ENV: 'production' } })).stdout
    }
    catch (error) {
      const { stdout, stderr } = error as { stdout: string, stderr: string }
      throw new Error(stdout + stderr, { cause: error })
    }
  }

  remove(): Promise<void> {
    return rm(this.root, { recursive: true, force: true })
  }
}

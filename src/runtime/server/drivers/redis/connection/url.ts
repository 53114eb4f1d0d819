import { invalidOption } from '../../../../shared/errors'

const URLS_EXPECTED = '`redis://` or `rediss://` URLs, separated by commas, with user and password percent-encoded'
/** Largest database number that Redis accepts. */
const MAX_DATABASE = 2_147_483_647

/** Address parsed from one or more URLs. User, password, database and address family apply to all of its nodes. */
export interface RedisAddress {
  nodes: { host: string, port: number }[]
  username?: string
  password?: string
  db: number
  /** 4 or 6: only addresses of this IP version. 0: any. Default: that of ioredis. */
  family?: number
  tls: boolean
}

type ParsedUrl = Omit<RedisAddress, 'nodes'> & RedisAddress['nodes'][number] & { hasDatabase: boolean }

/**
 * Parses URLs as ioredis does: the database is the path or `?db=`, and `?family=` the IP version. Any other part, or one that would have no
 * effect, is refused. Throws `INVALID_OPTION`, whose text never contains a password.
 */
export function parseRedisUrls(text: string, defaultPort: number): RedisAddress {
  const urls = text.split(',').map(url => parseOne(url.trim(), text, defaultPort))
  const [{ username, password, db, family, tls }] = urls as [ParsedUrl]
  for (const other of urls) {
    const agrees = other.tls === tls
      && (other.username ?? username) === username && (other.password ?? password) === password
      && (!other.hasDatabase || other.db === db) && (other.family ?? family) === family
    if (!agrees) throw invalidOption('redis.url', 'URLs that agree on protocol, user, password, database and family', redacted(text))
  }
  return { nodes: urls.map(({ host, port }) => ({ host, port })), username, password, db, family, tls }
}

function parseOne(url: string, text: string, defaultPort: number): ParsedUrl {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  const isUrl = parsed?.hostname && ['redis:', 'rediss:'].includes(parsed.protocol) && !parsed.hash && isDecodable(parsed.username + parsed.password)
  if (!isUrl || /@/.test(parsed.pathname + parsed.search)) throw invalidOption('redis.url', URLS_EXPECTED, redacted(text))
  // With another `@`, this may be the beginning of a password that was not encoded.
  const isAlone = text.split('@').length === (parsed.username || parsed.password ? 2 : 1)
  const refuse = (expected: string, got: string) => invalidOption('redis.url', expected, isAlone ? got : redacted(text))
  const inPath = parsed.pathname.slice(1)
  const query = parsed.searchParams
  for (const name of query.keys()) {
    if (name !== 'db' && name !== 'family') throw refuse('a URL with no parameters other than `db` and `family`', name)
    if (query.getAll(name).length > 1) throw refuse(`a URL with the parameter \`${name}\` at most once`, query.getAll(name).join())
  }
  const inQuery = query.get('db')
  if (inPath && inQuery !== null) throw refuse('a URL with the database in its path or in `?db=`, but not both', `${parsed.pathname}${parsed.search}`)
  const database = inQuery ?? (inPath || '0')
  if (!/^\d+$/.test(database) || Number(database) > MAX_DATABASE) throw refuse('a URL whose database is a whole number', database)
  const family = query.get('family')
  if (family !== null && !/^[046]$/.test(family)) throw refuse('a URL whose `family` is 4, 6 or 0', family)
  return {
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: Number(parsed.port || defaultPort),
    username: decodeURIComponent(parsed.username) || undefined,
    password: decodeURIComponent(parsed.password) || undefined,
    db: Number(database),
    hasDatabase: inPath !== '' || inQuery !== null,
    ...family !== null && { family: Number(family) },
    tls: parsed.protocol === 'rediss:',
  }
}

/**
 * Redacts everything before the last `@`, which may be part of a password: one with a comma in it, or in a URL without a protocol. Redacts
 * parameters as well, as their values may be part of one too.
 */
function redacted(text: string): string {
  return text.replace(/^.*@/s, '…@').replace(/\?.*$/s, '?…')
}

/** Whether the text is valid percent-encoding. A bare `%` is not, although `URL` accepts it. */
function isDecodable(text: string): boolean {
  try {
    return decodeURIComponent(text) !== undefined
  }
  catch {
    return false
  }
}

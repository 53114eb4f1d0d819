/** Whom one may be here, without a password. */
export const DEMO_USERS = [
  { id: 'ann', name: 'Ann' },
  { id: 'bob', name: 'Bob' },
  { id: 'cleo', name: 'Cleo' },
]

/** In characters. */
export const NOTICE_LIMIT = 200

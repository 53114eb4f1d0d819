/** Users that a visitor can sign in as, without a password. */
export const DEMO_USERS = [
  { id: 'ann', name: 'Ann' },
  { id: 'bob', name: 'Bob' },
  { id: 'cleo', name: 'Cleo' },
]

/** Maximum length, in characters. */
export const NOTICE_LIMIT = 200

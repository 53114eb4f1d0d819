declare module '#auth-utils' {
  interface User {
    id: string
    name: string
  }

  interface SecureSessionData {
    /** Names this sign-in on the server, where it can be ended: a sealed cookie alone is good for as long as it is kept. */
    signIn: string
  }
}

export {}

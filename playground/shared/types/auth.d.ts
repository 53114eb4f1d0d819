declare module '#auth-utils' {
  interface User {
    id: string
    name: string
  }

  interface SecureSessionData {
    /** ID of this sign-in on the server, where it can be ended: a sealed cookie alone remains valid for as long as it is kept. */
    signIn: string
  }
}

export {}

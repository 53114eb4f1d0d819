/** The longest delay of a timer, which counts signed 32-bit milliseconds: a longer one fires at once. */
export const MAX_TIMER_MS = 0x7FFFFFFF

/** Epoch and offset of a position of ours, as `parsePosition`, which is not worth its bytes here. */
function split(position = ''): RegExpExecArray | null {
  return /^(\d*[a-z][a-z\d]*)\.(\d+)$/i.exec(position)
}

/** Whether `position` is at or before `other`, in the same life of a log. `false` where that cannot be known. */
export function isUpTo(position: string | undefined, other: string | undefined): boolean {
  const [, epoch, offset] = split(position) ?? []
  const [, otherEpoch, otherOffset] = split(other) ?? []
  return epoch !== undefined && epoch === otherEpoch && +offset! <= +otherOffset!
}

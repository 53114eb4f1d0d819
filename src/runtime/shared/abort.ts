/**
 * A controller that is aborted with its parent. Abort it when it is done with: that takes it off the parent's list.
 * As `AbortSignal.any`, which leaks on older Nodes.
 */
export function follow(parent?: AbortSignal): AbortController {
  const controller = new AbortController()
  if (parent?.aborted) controller.abort()
  parent?.addEventListener('abort', () => controller.abort(), { signal: controller.signal })
  return controller
}

/**
 * Controller that is aborted with its parent. Abort it when it is no longer needed, which removes its listener from the parent. Used
 * instead of `AbortSignal.any`, which leaks on older versions of Node.
 */
export function childController(parent?: AbortSignal): AbortController {
  const controller = new AbortController()
  if (parent?.aborted) controller.abort()
  parent?.addEventListener('abort', () => controller.abort(), { signal: controller.signal })
  return controller
}

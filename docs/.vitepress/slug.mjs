/** Fragment of a heading, as GitHub makes it, so that a link works on the site and where the code is hosted. Two equal headings: the second gets `-1`. */
export function slugify(heading) {
  return heading.trim().toLowerCase().replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(/\s/g, '-')
}

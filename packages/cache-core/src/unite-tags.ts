/** Tags up to which repeats are looked for without a Set. */
const FEW = 8;

/**
 * The tags of two lists, each once. A miss unites the tags of its caller with those of nobody else, so the list itself is given where it will do:
 * it had made three Sets and four lists of them before.
 * @returns one of the lists, or another one: to be read, not to be changed
 */
export function uniteTags(held: readonly string[], more: readonly string[]): readonly string[] {
  if (more === held || more.length === 0) return held;
  if (held.length === 0 && areDistinct(more)) return more;
  return [...new Set([...held, ...more])];
}

/** Whether no tag is there twice; `false` also for lists in which looking would cost more than a Set. */
function areDistinct(tags: readonly string[]): boolean {
  if (tags.length > FEW) return false;
  for (let index = 1; index < tags.length; index += 1) if (tags.lastIndexOf(tags[index] as string, index - 1) >= 0) return false;
  return true;
}

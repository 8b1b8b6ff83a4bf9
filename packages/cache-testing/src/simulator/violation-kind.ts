/** What kind of promise was broken: the first word of the first violation, such as `stale`, `invented` or `I7`; `none` without one. */
export function violationKind(violations: readonly string[]): string {
  return violations[0]?.split(" ", 1)[0] ?? "none";
}

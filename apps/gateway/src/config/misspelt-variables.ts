/** Letters by which a misspelt name differs at most. */
const MAX_DISTANCE = 2;

/** Letters to add, drop or replace (Levenshtein); two that changed places count as two. O(length²) of short names. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** A variable that looks like a setting and is none. */
export interface MisspeltVariable {
  readonly variable: string;
  /** The setting that it looks like. */
  readonly meant: string;
}

/**
 * Variables that miss a setting's name by a letter or two. The environment belongs to others as well, so that an unknown name is no error;
 * but `LARDER_ATUH=keys` would leave a gateway open that somebody believes closed.
 */
export function misspeltVariables(environment: NodeJS.ProcessEnv, known: readonly string[]): MisspeltVariable[] {
  const names = new Set(known);
  return Object.keys(environment).flatMap((variable) => {
    if (!variable.startsWith("LARDER_") || variable.length > 64 || names.has(variable)) return [];
    const meant = known.find((name) => name.startsWith("LARDER_") && distanceOf(variable, name) <= MAX_DISTANCE);
    return meant === undefined ? [] : [{ variable, meant }];
  });
}

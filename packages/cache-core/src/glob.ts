/**
 * Whether a glob matches the whole text: `*` any run of characters, `?` exactly one, `\` takes the next one as it is. Nothing else is
 * special. A character is a code point: an emoji, two units of a string, is one. Linear backtracking to the last star only, so that no pattern
 * takes exponential time.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  let patternAt = 0;
  let textAt = 0;
  let starAt = -1;
  let retryAt = 0;
  while (textAt < text.length) {
    const symbol = pattern[patternAt];
    const escaped = symbol === "\\" ? pattern[patternAt + 1] : undefined;
    if (symbol === "*") {
      starAt = patternAt;
      retryAt = textAt;
      patternAt += 1;
    } else if (symbol === "?" || (escaped ?? symbol) === text[textAt]) {
      patternAt += escaped ? 2 : 1;
      textAt += symbol === "?" && (text.codePointAt(textAt) as number) > 0xffff ? 2 : 1;
    } else if (starAt >= 0) {
      patternAt = starAt + 1;
      retryAt += 1;
      textAt = retryAt;
    } else {
      return false;
    }
  }
  return /^\**$/.test(pattern.slice(patternAt));
}

/** Escapes a text so that, as part of a glob, it matches only itself; Redis's own set brackets included. */
export function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]^]/g, "\\$&");
}

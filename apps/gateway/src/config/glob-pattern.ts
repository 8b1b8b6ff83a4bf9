/**
 * Tells whether a text is one that a name or path with `*` for any run of characters stands for. Texts are the callers', and a regular expression tries
 * each place of one `*` with each place of the next: a name of 512 dashes kept `*-*-*-*-preview` busy for a minute, and with it every other
 * request. What stands between is looked for once, from the left: the first place that fits leaves the most for the rest.
 */
export function globPattern(glob: string): (text: string) => boolean {
  const [beginning = "", ...parts] = glob.split("*");
  const end = parts.pop();
  if (end === undefined) return (text) => text === beginning;
  return (text) => {
    if (!text.startsWith(beginning) || !text.endsWith(end)) return false;
    let at = beginning.length;
    for (const part of parts) {
      const found = text.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return at + end.length <= text.length;
  };
}

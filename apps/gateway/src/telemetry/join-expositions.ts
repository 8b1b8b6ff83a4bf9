/**
 * Several processes' metrics as one text. The format wants all lines of a metric together and its description once; that no two lines are the same
 * series is the processes' affair: each has a label of its own.
 */
export function joinExpositions(texts: readonly string[]): string {
  const metrics = new Map<string, { readonly head: string; readonly lines: string[] }>();
  for (const text of texts)
    for (const block of text.split(/^(?=# HELP )/m)) {
      const lines = block.split("\n").filter((line) => line !== "");
      const head = lines.filter((line) => line.startsWith("#")).join("\n");
      const name = /^# HELP (\S+)/.exec(head)?.[1];
      if (name === undefined) continue;
      const known = metrics.get(name) ?? { head, lines: [] };
      metrics.set(name, known);
      known.lines.push(...lines.filter((line) => !line.startsWith("#")));
    }
  return [...metrics.values()].map(({ head, lines }) => `${[head, ...lines].join("\n")}\n`).join("\n");
}

const LINE_FEED = 0x0a;

/**
 * Cuts what comes into lines. A line longer than `maxBytes` comes out as `undefined` and is not held: nobody can make a line's end wait for
 * more memory than that.
 */
export async function* readLines(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<string | undefined, void, undefined> {
  let held: Uint8Array[] = [];
  let length = 0;
  const take = (): string | undefined => {
    const line = length > maxBytes ? undefined : Buffer.concat(held, length).toString("utf8");
    held = [];
    length = 0;
    return line;
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      held.push(chunk.subarray(start, end));
      length += end - start;
      start = end + 1;
      yield take();
    }
    length += chunk.length - start;
    if (length > maxBytes) held = [];
    else if (start < chunk.length) held.push(chunk.subarray(start));
  }
  if (length > 0) yield take();
}

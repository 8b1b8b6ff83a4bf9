/** Reads JSON as `JSON.parse` does, but for whole numbers that JavaScript would make others of: those are texts that begin with `#`. */
export function exactParse(text: string): unknown {
  let at = 0;
  const fail = (): never => {
    throw new SyntaxError(`no JSON at ${at}`);
  };
  const skip = (): void => {
    while (at < text.length && " \t\n\r".includes(text[at] as string)) at += 1;
  };
  const take = (token: string): boolean => {
    skip();
    if (!text.startsWith(token, at)) return false;
    at += token.length;
    return true;
  };
  const string = (): string => {
    skip();
    const from = at;
    if (text[at] !== '"') fail();
    for (at += 1; text[at] !== '"'; at += 1) if (text[at] === "\\") at += 1;
    at += 1;
    return JSON.parse(text.slice(from, at)) as string;
  };
  const list = (end: string, read: () => void): void => {
    if (take(end)) return;
    do read();
    while (take(","));
    if (!take(end)) fail();
  };
  const value = (): unknown => {
    if (take("{")) {
      const object: Record<string, unknown> = {};
      list("}", () => {
        const name = string();
        if (!take(":")) fail();
        Object.defineProperty(object, name, { value: value(), enumerable: true, configurable: true, writable: true });
      });
      return object;
    }
    if (take("[")) {
      const items: unknown[] = [];
      list("]", () => void items.push(value()));
      return items;
    }
    for (const [token, constant] of [
      ["null", null],
      ["true", true],
      ["false", false],
    ] as const)
      if (take(token)) return constant;
    skip();
    if (text[at] === '"') return string();
    const number = /^-?\d+(\.\d+)?([eE][+-]?\d+)?/.exec(text.slice(at, at + 400))?.[0] ?? fail();
    at += number.length;
    if (/^-?\d+$/.test(number) && !Number.isSafeInteger(Number(number))) return `#${number}`;
    return Number(number) + 0;
  };
  const read = value();
  skip();
  if (at < text.length) fail();
  return read;
}

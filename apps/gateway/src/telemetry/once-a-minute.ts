/** Milliseconds between two lines about one provider: what fails there fails for each request and each tenant. */
const QUIET_MS = 60_000;

/**
 * Keeps a log readable while a provider is in trouble. @param now monotonic milliseconds @returns asked with each occurrence: how many others there
 * were of that name since the last line when another line is due, `undefined` when none is
 */
export function onceAMinute(now: () => number = () => performance.now()): (name: string) => number | undefined {
  const told = new Map<string, { readonly at: number; others: number }>();
  return (name) => {
    const at = now();
    const last = told.get(name);
    if (last && at - last.at < QUIET_MS) {
      last.others += 1;
      return undefined;
    }
    told.set(name, { at, others: 0 });
    return last?.others ?? 0;
  };
}

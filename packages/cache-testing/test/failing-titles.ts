import * as vitest from "vitest";

/**
 * Runs the tests that a suite defines, by themselves.
 * @param hungAfterMs milliseconds after which a test that has not ended fails. Default: it is waited for
 * @returns the titles of those that fail
 */
export async function failingTitles(define: (testApi: typeof vitest) => void, hungAfterMs?: number): Promise<string[]> {
  const tests: Array<readonly [title: string, run: () => unknown]> = [];
  const it = Object.assign((title: string, run: () => unknown) => tests.push([title, run]), { skip: () => {} });
  const describe = (_title: string, defineTests: () => void): void => defineTests();
  define({ ...vitest, describe, it } as unknown as typeof vitest);
  const failing: string[] = [];
  for (const [title, run] of tests) {
    try {
      await (hungAfterMs === undefined ? run() : endOf(run, hungAfterMs));
    } catch {
      failing.push(title);
    }
  }
  return failing;
}

function endOf(run: () => unknown, hungAfterMs: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("hangs")), hungAfterMs);
    (async () => run())()
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

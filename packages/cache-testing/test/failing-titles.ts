import * as vitest from "vitest";

/** Runs the tests that a suite defines, by themselves. @returns the titles of those that fail */
export async function failingTitles(define: (testApi: typeof vitest) => void): Promise<string[]> {
  const tests: Array<readonly [title: string, run: () => unknown]> = [];
  const it = Object.assign((title: string, run: () => unknown) => tests.push([title, run]), { skip: () => {} });
  const describe = (_title: string, defineTests: () => void): void => defineTests();
  define({ ...vitest, describe, it } as unknown as typeof vitest);
  const failing: string[] = [];
  for (const [title, run] of tests) {
    try {
      await run();
    } catch {
      failing.push(title);
    }
  }
  return failing;
}

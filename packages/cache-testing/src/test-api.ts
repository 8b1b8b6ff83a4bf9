import type * as vitest from "vitest";

/** The part of vitest's API that the suites use. */
export type TestApi = Pick<typeof vitest, "describe" | "it" | "expect" | "beforeEach" | "afterEach">;

/**
 * The test functions that the suites run on: those handed in, else vitest's globals where its `globals` option is on, else none. The
 * package does not import vitest itself: its CommonJS build could not (vitest refuses `require`), and the tools beside the suites
 * (clock, fault proxy, servers) are of use without any test runner.
 * @throws {Error} when there is nothing to run on
 */
export function resolveTestApi(given: TestApi | undefined): TestApi {
  if (given) return given;
  const found = globalThis as Partial<TestApi>;
  if (found.describe && found.it && found.expect && found.beforeEach && found.afterEach) return found as TestApi;
  throw new Error(
    'cache-testing: no test functions found. Pass `testApi: await import("vitest")`, or switch vitest\'s `globals` option on.',
  );
}

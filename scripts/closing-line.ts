import type { Reporter, TestModule } from "vitest/node";

const WITHOUT_REDIS = `
There was no Redis for these tests (REDIS_URL is not set), and some want one. Run vitest as the packages' own test scripts do:
  node scripts/with-redis.mjs npx vitest run …
`;

/**
 * Prints `N passed, N failed, N skipped` as the very last line, after coverage tables too: the plain form that CI readers look for. Who runs vitest
 * by hand and finds failures is told what may be missing.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, unhandledErrors: ReadonlyArray<unknown>): void {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      const tests = [...module.children.allTests()];
      for (const test of tests) {
        const state = test.result().state;
        counts[state === "passed" ? "passed" : state === "failed" ? "failed" : "skipped"] += 1;
      }
      // A file that fails to load has no tests to count, and must not pass for an empty one.
      if (module.state() === "failed" && !tests.some((test) => test.result().state === "failed")) counts.failed += 1;
    }
    process.once("exit", () => {
      if (counts.failed > 0 && !process.env.REDIS_URL) process.stdout.write(WITHOUT_REDIS);
      process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
    });
  }
}

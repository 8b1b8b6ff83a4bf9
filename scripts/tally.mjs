/**
 * Counts checks the way a test runner counts tests, and closes with the line `N passed, N failed, N skipped` that `.ci/run` adds up.
 * A check is a function that throws; its message is what the reader of a failed run gets, so it should say what to do.
 */
export class Tally {
  #passed = 0;
  #failed = 0;
  #skipped = 0;

  /** Runs one check. @returns what it returned, or `undefined` when it failed */
  async check(name, run) {
    const startedAt = performance.now();
    try {
      const result = await run();
      this.#passed += 1;
      const tookMs = performance.now() - startedAt;
      console.log(`  ok    ${name}${tookMs > 1000 ? ` (${(tookMs / 1000).toFixed(1)} s)` : ""}`);
      return result;
    } catch (error) {
      this.#failed += 1;
      const text = error instanceof Error ? error.message : String(error);
      console.log(`  FAIL  ${name}\n${text.trimEnd().replace(/^/gm, "        ")}`);
      return undefined;
    }
  }

  /** Counts something that cannot be checked here; a skip without a reason is a bug. */
  skip(name, reason) {
    this.#skipped += 1;
    console.log(`  skip  ${name}: ${reason}`);
  }

  /** Prints the closing line and makes the process fail when a check did, or when nothing was even skipped with a reason. */
  close() {
    if (this.#passed + this.#failed + this.#skipped === 0) {
      this.#failed += 1;
      console.log("  FAIL  nothing was checked");
    }
    console.log(`\n${this.#passed} passed, ${this.#failed} failed, ${this.#skipped} skipped`);
    if (this.#failed > 0) process.exitCode = 1;
  }
}

/** Throws one message made of all problems found, or does nothing when there are none. */
export function expectNone(problems) {
  if (problems.length > 0) throw new Error(problems.join("\n"));
}

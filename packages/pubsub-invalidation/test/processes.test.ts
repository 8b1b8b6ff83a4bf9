import { describe, expect, it } from "vitest";
import { type HarnessOptions, runHarness } from "./harness/run-harness.ts";

// LARDER_SOAK_MS=600000 makes this the ten-minute soak: four processes, at least a million checked reads.
const soakMs = Number(process.env.LARDER_SOAK_MS ?? 0);
const runMs = soakMs || 3_000;

/** maxStalenessMs, and what a busy machine may add between a read's begin in the log and the look at the clock inside. */
const BOUND_MS = 1_000 + 250;

async function expectCoherent(options: Omit<HarnessOptions, "runMs">): Promise<void> {
  const { reads, writes, violations, longestStaleMs, reports, faults, exitCodes } = await runHarness({ runMs, ...options });
  if (soakMs) {
    const heap = reports.map(({ heapBytes }) => Math.round(heapBytes / 2 ** 20)).join(", ");
    console.log(
      `${reads} reads, ${writes} writes, ${faults.length} faults, stale at most ${longestStaleMs.toFixed(1)} ms, heaps ${heap} MB`,
    );
  }
  expect(violations.slice(0, 5)).toEqual([]);
  expect(exitCodes).toEqual(reports.map(() => 0));
  expect(reports.map(({ unhandled }) => unhandled)).toEqual([0, 0, 0, 0]);
  expect(reads).toBeGreaterThan(soakMs ? (soakMs / 600_000) * 1_000_000 : 2_000);
  expect(writes).toBeGreaterThan(20);
}

describe.concurrent("four processes", () => {
  const timeout = runMs * 2 + 60_000;

  it(
    "never give older data than promised, over Redis with faults",
    () => expectCoherent({ bus: "redis", hasFaults: true, boundMs: BOUND_MS }),
    timeout,
  );

  it(
    "never give older data than promised, over Redis with a second tier and faults",
    () => expectCoherent({ bus: "redis", hasSecondTier: true, hasFaults: true, boundMs: BOUND_MS, seed: 2 }),
    timeout,
  );

  it(
    "never give older data than promised, over their primary without Redis",
    () => expectCoherent({ bus: "workers", boundMs: BOUND_MS, seed: 3 }),
    timeout,
  );
});

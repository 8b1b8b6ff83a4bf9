import { describe, expect, it } from "vitest";
import { bytesPerMinute, type MemorySample } from "./harness/memory-slope.ts";
import { type HarnessOptions, runHarness } from "./harness/run-harness.ts";

// LARDER_SOAK_MS=600000 makes this the ten-minute soak: four processes, at least a million checked reads.
const soakMs = Number(process.env.LARDER_SOAK_MS ?? 0);
const runMs = soakMs || 3_000;

/** maxStalenessMs, and what a busy machine may add between a read's begin in the log and the look at the clock inside. */
const BOUND_MS = 1_000 + 250;

const MEBIBYTE = 2 ** 20;
/** By how much the heap of a process may grow in a minute of the soak. Shorter runs say nothing of it: they are all warm-up. */
const MAX_BYTES_PER_MINUTE = MEBIBYTE;

/** What a run must have seen to say anything; a soak says it of its own length. */
const LEAST_READS = soakMs ? (soakMs / 600_000) * 1_000_000 : 2_000;
const LEAST_WRITES = 20;

async function expectCoherent(options: Omit<HarnessOptions, "runMs">): Promise<void> {
  // Runs as long as it takes to see so much: on a busy machine four processes come to ten writes in three seconds.
  const least = soakMs ? {} : { leastReads: LEAST_READS + 1, leastWrites: LEAST_WRITES + 1 };
  const { reads, writes, violations, longestStaleMs, reports, faults, exitCodes } = await runHarness({ runMs, ...least, ...options });
  if (soakMs) {
    const slopes = (of: "heapBytes" | "residentBytes"): string =>
      reports.map(({ memory }) => (bytesPerMinute(memory, of) / MEBIBYTE).toFixed(2)).join(", ");
    const heap = reports.map(({ memory }) => Math.round((memory.at(-1)?.heapBytes ?? 0) / MEBIBYTE)).join(", ");
    console.log(
      `${reads} reads, ${writes} writes, ${faults.length} faults, stale at most ${longestStaleMs.toFixed(1)} ms, heaps ${heap} MB, growing by ${slopes("heapBytes")} MB a minute, resident by ${slopes("residentBytes")}`,
    );
    for (const { memory } of reports) expect(bytesPerMinute(memory, "heapBytes")).toBeLessThan(MAX_BYTES_PER_MINUTE);
  }
  expect(violations.slice(0, 5)).toEqual([]);
  expect(exitCodes).toEqual(reports.map(() => 0));
  expect(reports.map(({ unhandled }) => unhandled)).toEqual([0, 0, 0, 0]);
  expect(reads).toBeGreaterThan(LEAST_READS);
  expect(writes).toBeGreaterThan(LEAST_WRITES);
  for (const { memory } of reports) expect(memory.length).toBeGreaterThan(2);
}

describe("the slope of a heap", () => {
  const grown = (bytesAt: (minute: number) => number): MemorySample[] =>
    Array.from({ length: 60 }, (_, index) => ({ atMs: index * 10_000, heapBytes: bytesAt(index / 6), residentBytes: 0 }));

  it("is what a leak adds in a minute, whatever collections leave now and then", () => {
    const leak = grown((minute) => 30e6 + 2e6 * minute + (minute % 1) * 1e5);
    expect(bytesPerMinute(leak, "heapBytes")).toBeGreaterThan(1.9e6);
    expect(bytesPerMinute(leak, "residentBytes")).toBe(0);
  });

  it("does not count what a process fills at its start", () => {
    expect(
      bytesPerMinute(
        grown((minute) => 30e6 + 20e6 * Math.min(1, minute)),
        "heapBytes",
      ),
    ).toBeCloseTo(0);
  });
});

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

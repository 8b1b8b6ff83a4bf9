import { ablated, type Mechanism } from "@larder/cache-core";
import { type PlanLimits, planSchedule, type ScheduleOptions, type ScheduleResult, simulate } from "@larder/cache-testing";
import { afterEach, describe, expect, it } from "vitest";
import { createThreeParts, createWithoutStore, maxStalenessMs } from "./simulated-process.ts";

/** Schedules per combination: small here, 100,000 in CI by `bench coherence`, recorded ranges in the soak. */
const SCHEDULES = Number(process.env.LARDER_SCHEDULES ?? 2_500);
/** Seeds from here on are this suite's own. */
const FIRST_SEED = 1;

const options: ScheduleOptions = { create: createThreeParts, maxStalenessMs, readLimitMs: 60 };

afterEach(() => ablated.clear());

describe("random schedules over the product's own code", () => {
  it.each([
    ["memory, Redis and bus", createThreeParts],
    ["memory and bus", createWithoutStore],
  ])(
    "keep every promise: %s",
    async (_, create) => {
      const report = await simulate({ ...options, create, firstSeed: FIRST_SEED, schedules: SCHEDULES });
      expect(report.failures.map(({ seed, violations }) => ({ seed, violations }))).toEqual([]);
      expect(report.schedules).toBe(SCHEDULES);
      // A schedule that does little proves little.
      expect(report.steps / report.schedules).toBeGreaterThan(100);
    },
    SCHEDULES * 100,
  );

  it.each([
    [34_595, "a record that no check had seen before a failover passed for the new server's own"],
    [23_330, "values were judged by a record whose epoch a message had shown to be past"],
    [500_099, "a message heard before the first baseline was forgotten by the record that judges the second tier"],
  ])("keeps its promises in a schedule that once broke one: seed %i, %s", async (seed) => {
    expect((await runOne(seed)).violations).toEqual([]);
  });

  it("gives the same trace for the same seed (I26)", async () => {
    const run = async (): Promise<readonly ScheduleResult[]> => {
      const results: ScheduleResult[] = [];
      for (let seed = 1; seed <= 30; seed += 1) results.push(await runOne(seed));
      return results;
    };
    const first = await run();
    expect(await run()).toEqual(first);
    expect(new Set(first.map((result) => result.traceHash)).size).toBeGreaterThan(25);
  });
});

/** One schedule, in a turn of the event loop of its own. */
async function runOne(seed: number): Promise<ScheduleResult> {
  const { runSchedule } = await import("@larder/cache-testing");
  return new Promise((resolve) => setImmediate(() => resolve(runSchedule(planSchedule(seed), options))));
}

/** A mechanism switched off: in the product, or in the server and the connections. */
interface Ablation {
  readonly name: string;
  readonly mechanism?: Mechanism;
  readonly inServer?: ScheduleOptions["ablations"];
  /** What makes it show sooner. */
  readonly limits?: PlanLimits;
  /** Where a violation was found when this was recorded; the search begins there and goes on from it. */
  readonly seed: number;
}

/** Schedules within which a mechanism's absence must show. */
const WITHIN = 200_000;

const ablations: readonly Ablation[] = [
  { name: "no local generation", mechanism: "local-generation", seed: 1 },
  { name: "joining an old load", mechanism: "detach", seed: 1 },
  { name: "no fence in Redis", inServer: { noFence: true }, seed: 1 },
  { name: "publishing before deleting", inServer: { publishFirst: true }, seed: 1 },
  { name: "no retry of failed invalidations", mechanism: "retry", seed: 1 },
  { name: "reading Redis while an invalidation is pending", mechanism: "pending-bypass", limits: { faults: ["cut", "stall"] }, seed: 1 },
  { name: "no replay of what was missed", mechanism: "replay", seed: 1 },
  { name: "heartbeats as proof whatever is missing before them", mechanism: "sequence", seed: 1 },
  { name: "version captured after the load", mechanism: "early-capture", seed: 1 },
  { name: "counters instead of random epochs", inServer: { countedEpochs: true }, seed: 1 },
  { name: "no identity check after a reconnect", inServer: { noIdentity: true }, limits: { faults: ["failover", "cut"] }, seed: 1 },
  { name: "nothing dropped when the log is lost", mechanism: "reset", seed: 1 },
  { name: "serving without proof", mechanism: "proof", limits: { faults: ["bar", "stall", "pause"] }, seed: 1 },
  { name: "no deadline on writes", inServer: { noDeadline: true }, limits: { faults: ["stall"], sets: 0.3 }, seed: 1 },
];

describe("the simulator notices when a mechanism is off", () => {
  it.each(ablations)(
    "$name",
    async ({ mechanism, inServer, limits, seed }) => {
      if (mechanism) ablated.add(mechanism);
      const report = await simulate({
        ...options,
        firstSeed: seed,
        schedules: WITHIN,
        ...(limits ? { limits } : {}),
        ...(inServer ? { ablations: inServer } : {}),
      });
      expect(report.failures).toHaveLength(1);
      expect(report.failures[0]?.violations[0]).toMatch(/^stale|at rest/);
    },
    600_000,
  );
});

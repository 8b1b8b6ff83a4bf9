import { rmSync } from "node:fs";
import { uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mergeModels, type Snapshot, syncOnce } from "../src/index.ts";
import { createRedisMirror } from "../src/redis-mirror.ts";
import { bundleChild } from "./support/bundle-child.ts";
import { listings, ScriptedSource } from "./support/listings.ts";
import { type CrashPlan, runCrashChild } from "./support/run-crash-child.ts";
import { createTestDatabase } from "./support/stores.ts";

// F24 of the fault list: kill -9 at each step of commit and mirror. The first version holds 100 models at 1 dollar; the run that dies
// would have written 120 at 1.1 dollars. Whatever is read afterwards must be one of the two, whole.

const redisUrl = process.env.REDIS_URL ?? "";
let bundle = "";
let redis: Redis;
beforeAll(async () => {
  if (!redisUrl) throw new Error("these tests need a Redis: run them through `node scripts/with-redis.mjs`");
  bundle = await bundleChild("crash-child");
  redis = new Redis(redisUrl);
});
afterAll(() => {
  redis.disconnect();
  rmSync(bundle, { force: true });
});

function shapeOf(snapshot: Snapshot | undefined): string {
  const models = mergeModels(snapshot?.content ?? { layers: [], quarantine: [], acceptances: [] });
  return `${models.length} models at ${[...new Set(models.map((model) => model.usdPerMillion.input))].join(" and ")}`;
}

const AT_A_TIME = 3;
const former = "100 models at 1";
const next = "120 models at 1.1";

/** Kills a run at one step, and looks at what is left, and at what the next run makes of it. */
async function killAt(dialect: "sqlite" | "postgres", step: Pick<CrashPlan, "dieAt" | "dieBeforeStatement">): Promise<string> {
  const database = await createTestDatabase(dialect);
  const keyPrefix = uniquePrefix("crash");
  const mirror = createRedisMirror({ client: redis, keyPrefix });
  try {
    const before = await database.openStore();
    await syncOnce({ sources: [new ScriptedSource(listings(100, { input: 1, output: 2 }))], store: before, mirror });
    await before.close();
    const death = await runCrashChild(bundle, { address: database.address, redisUrl, keyPrefix, models: 120, price: 1.1, ...step });
    if (!death.signal) return "lived";
    expect(death.signal).toBe("SIGKILL");

    const store = await database.openStore();
    const [stored, mirrored] = [await store.latest(), await mirror.latest()];
    expect([former, next]).toContain(shapeOf(stored));
    expect([former, next]).toContain(shapeOf(mirrored));
    expect(stored?.version).toBe(shapeOf(stored) === former ? 1 : 2);
    expect(mirrored?.version).toBe(shapeOf(mirrored) === former ? 1 : 2);
    // The store is the truth: the mirror may lag behind it and never runs ahead.
    expect(mirrored?.version ?? 0).toBeLessThanOrEqual(stored?.version ?? 0);

    const repaired = await syncOnce({ sources: [new ScriptedSource(listings(120, { input: 1.1, output: 2 }))], store, mirror });
    expect(["committed", "unchanged"]).toContain(repaired.outcome);
    expect(["written", "current"]).toContain(repaired.mirror);
    expect(shapeOf(await store.latest())).toBe(next);
    expect(shapeOf(await mirror.latest())).toBe(next);
    expect((await store.history()).map((head) => head.version)).toEqual([2, 1]);
    return shapeOf(stored) === former ? "nothing written" : "all written";
  } finally {
    await database.remove();
  }
}

describe.each(["sqlite", "postgres"] as const)("a sync over %s killed with kill -9", (dialect) => {
  it("leaves the former version when it dies before any statement of the commit, or before COMMIT", async () => {
    const outcomes: string[] = [];
    // Every statement, until the transaction has no such statement any more; a few processes at a time, each with a database of its own.
    while (!outcomes.includes("lived")) {
      const following = Array.from({ length: AT_A_TIME }, (_, offset) => outcomes.length + offset + 1);
      outcomes.push(...(await Promise.all(following.map((statement) => killAt(dialect, { dieBeforeStatement: statement })))));
    }
    const kills = outcomes.indexOf("lived");
    expect(kills).toBeGreaterThanOrEqual(8);
    expect(new Set(outcomes.slice(0, kills))).toEqual(new Set(["nothing written"]));
    expect(new Set(outcomes.slice(kills))).toEqual(new Set(["lived"]));
    expect(await killAt(dialect, { dieAt: "before-commit" })).toBe("nothing written");
    // Some twenty processes, one after the other where the machine is busy.
  }, 60_000);

  it.each(["after-commit", "before-mirror", "before-mirror-write", "during-mirror-write", "after-mirror"] as const)(
    "leaves the new version in the store when it dies %s, and the next run repairs the mirror",
    async (dieAt) => {
      expect(await killAt(dialect, { dieAt })).toBe("all written");
    },
  );
});

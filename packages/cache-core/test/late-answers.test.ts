// Answers that lie in a process which stands still: suspended, or kept busy by its own program. Its deadlines are then as late as they are, and what an
// answer says has been true once. The tools depend on this package: they are imported by path.
import { describe, expect, it } from "vitest";
import { ManualClock } from "../../cache-testing/src/manual-clock.ts";
import { NaiveCache } from "../../cache-testing/src/naive-cache.ts";
import { NaiveStore } from "../../cache-testing/src/naive-store.ts";
import { MemoryInvalidationBus, TieredCache } from "../src/index.ts";

const MAX_STALENESS_MS = 1_000;
const BUDGET_MS = 50;

/**
 * A cache without a living bus, whose second tier has "old" under "key". While the answer to `operation` is on its way that is invalidated, and the
 * process sleeps.
 */
const setUp = async (operation: string, sleepMs: number, l2Has = "old") => {
  const clock = new ManualClock();
  const store = new NaiveStore<string>({ clock });
  const travel = async (leg: "request" | "reply", asked: string): Promise<void> => {
    if (asked !== operation) return;
    if (leg === "request" && l2Has === "meanwhile") await store.set("key", "old");
    if (leg === "request") return;
    await store.delete("key");
    clock.advance(sleepMs);
  };
  if (l2Has === "old") await store.set("key", "old");
  const bus = new MemoryInvalidationBus();
  const l2 = new NaiveStore<string>({ clock, travel }, store);
  const cache = new TieredCache<string>({ l1: new NaiveCache({ clock }), l2, bus, clock, maxStalenessMs: MAX_STALENESS_MS });
  // Nobody tells it anything from here on, and it knows.
  await bus.close();
  clock.advance(2 * MAX_STALENESS_MS);
  return cache;
};

describe.each([
  { what: "in time for the bound", sleepMs: MAX_STALENESS_MS + BUDGET_MS, isServed: true },
  { what: "too late for the bound", sleepMs: MAX_STALENESS_MS + BUDGET_MS + 1, isServed: false },
])("an answer of the second tier that is taken in $what", ({ sleepMs, isServed }) => {
  it(`is ${isServed ? "given" : "a miss"} to who reads`, async () => {
    const cache = await setUp("read", sleepMs);
    expect(await cache.get("key")).toBe(isServed ? "old" : undefined);
  });

  it(`${isServed ? "stands for" : "does not stand for"} a load`, async () => {
    const cache = await setUp("read", sleepMs);
    expect(await cache.getOrSet("key", () => "new")).toBe(isServed ? "old" : "new");
  });

  it(`${isServed ? "stands for" : "does not stand for"} a load where the reservation found it`, async () => {
    const cache = await setUp("reserve", sleepMs, "meanwhile");
    expect(await cache.getOrSet("key", () => "new", { singleFlight: "fleet" })).toBe(isServed ? "old" : "new");
  });
});

it("an answer is taken in at any time where nothing bounds staleness", async () => {
  const clock = new ManualClock();
  const travel = async (leg: "request" | "reply"): Promise<void> => (leg === "reply" ? clock.advance(3_600_000) : undefined);
  const l2 = new NaiveStore<string>({ clock, travel });
  const cache = new TieredCache<string>({ l1: new NaiveCache({ clock }), l2, clock, ttlMs: Infinity });
  await l2.set("key", "old");
  expect(await cache.get("key")).toBe("old");
});

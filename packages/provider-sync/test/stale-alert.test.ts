import { ManualClock } from "@larder/cache-testing";
import { beforeEach, describe, expect, it } from "vitest";
import { checkStaleAlert, readInstant, type StaleAlert, type StaleAlertOptions } from "../src/index.ts";
import { isAlertDue } from "../src/stale-alert.ts";

// The reference system's nineteen cases (seeds S4.12), row by row.

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let clock: ManualClock;
let completedAt: number | string | undefined;
let alerts: Map<string, number>;
let posted: StaleAlert[];
beforeEach(() => {
  clock = new ManualClock();
  completedAt = clock.wallNow() - 2 * HOUR_MS;
  alerts = new Map();
  posted = [];
});

function check(changes: Partial<StaleAlertOptions> = {}): ReturnType<typeof checkStaleAlert> {
  return checkStaleAlert({
    completedAt: async () => completedAt,
    memory: { alertedAt: async (name) => alerts.get(name), recordAlert: async (name, at) => void alerts.set(name, at) },
    post: async (alert) => {
      posted.push(alert);
      return true;
    },
    clock,
    ...changes,
  });
}

describe("reading a recorded instant", () => {
  it.each([
    ["1. text that is no instant", "yesterday", undefined],
    ["2. an empty text", "", undefined],
    ["2. nothing", undefined, undefined],
    ["3. an ISO instant", "2023-11-14T22:13:20.000Z", 1_700_000_000_000],
    ["3. epoch milliseconds as text", "1700000000000", 1_700_000_000_000],
    ["3. epoch milliseconds", 1_700_000_000_000, 1_700_000_000_000],
    ["3. a number that is none", Number.NaN, undefined],
  ])("%s", (_name, value, instant) => {
    expect(readInstant(value)).toBe(instant);
  });
});

describe("whether an alert is due", () => {
  const limits = { staleAfterMs: HOUR_MS, rememberMs: 3 * DAY_MS };
  const now = 1_700_000_000_000;
  it.each([
    ["4. not when the last completion is younger than an hour", now - HOUR_MS + 1, undefined, "fresh"],
    ["5. when it is exactly an hour old", now - HOUR_MS, undefined, "due"],
    ["6. when none was ever recorded", undefined, undefined, "due"],
    ["7. not when an alert is newer than the completion", now - 5 * HOUR_MS, now - 4 * HOUR_MS, "suppressed"],
    ["8. not again when none was ever recorded", undefined, now - HOUR_MS, "suppressed"],
    ["9. again when a newer completion went stale", now - 2 * HOUR_MS, now - 3 * HOUR_MS, "due"],
    ["9. again when the episode lasts longer than an alert is remembered", now - 9 * DAY_MS, now - 3 * DAY_MS, "due"],
    ["not for a completion that another machine's clock puts a little ahead", now + 5_000, undefined, "fresh"],
    ["for a completion that only a wrong clock can have put so far ahead", now + 30 * DAY_MS, undefined, "due"],
    ["not again for such a completion", now + 30 * DAY_MS, now - HOUR_MS, "suppressed"],
    ["though an alert was sent under a clock that was far ahead", now - 2 * HOUR_MS, now + 30 * DAY_MS, "due"],
  ] as const)("%s", (_name, completed, alerted, expected) => {
    expect(isAlertDue(now, completed, alerted, limits)).toBe(expected);
  });
});

describe("an alert", () => {
  it("10. names the last completion and its age", async () => {
    await check();
    expect(posted[0]).toMatchObject({ ageMs: 2 * HOUR_MS, isTest: false });
    expect(posted[0]?.message).toBe("Provider sync is stale: the last one completed at 2023-11-14T20:13:20.000Z, 120 minutes ago.");
  });

  it("11. carries a mark when it is a test", async () => {
    completedAt = clock.wallNow();
    expect(await check({ isTest: true })).toMatchObject({ outcome: "posted" });
    expect(posted[0]?.message).toMatch(/^\[TEST] /);
  });

  it("12. says that no completion was ever recorded", async () => {
    completedAt = undefined;
    await check();
    expect(posted[0]).toMatchObject({ completedAt: undefined, ageMs: Number.POSITIVE_INFINITY });
    expect(posted[0]?.message).toContain("never recorded");
  });

  it("names no age for a completion that is still to come", async () => {
    completedAt = clock.wallNow() + 30 * DAY_MS;
    await check();
    expect(posted[0]).toMatchObject({ ageMs: Number.POSITIVE_INFINITY, message: expect.stringContaining("still to come") });
  });

  it("13. is composed and not posted outside production", async () => {
    expect(await check({ mode: "simulate" })).toMatchObject({ outcome: "simulated", alert: { ageMs: 2 * HOUR_MS } });
    expect(posted).toEqual([]);
  });

  it("14. and 15. is posted in production, once, and its time is stored", async () => {
    expect(await check()).toMatchObject({ outcome: "posted" });
    expect(posted).toHaveLength(1);
    expect(alerts.get("catalog-stale")).toBe(clock.wallNow());
  });

  it("15. is not posted a second time in one episode, and is in the next", async () => {
    await check();
    clock.advance(HOUR_MS);
    expect(await check()).toEqual({ outcome: "suppressed" });
    completedAt = clock.wallNow();
    expect(await check()).toEqual({ outcome: "fresh" });
    clock.advance(HOUR_MS);
    expect(await check()).toMatchObject({ outcome: "posted" });
    expect(posted).toHaveLength(2);
  });

  it("16. is not sent, and nothing is thrown, when the memory is away", async () => {
    const away = { alertedAt: () => Promise.reject(new Error("down")), recordAlert: () => Promise.reject(new Error("down")) };
    expect(await check({ memory: away })).toEqual({ outcome: "failed", stage: "memory" });
    expect(await check({ completedAt: () => Promise.reject(new Error("down")) })).toEqual({ outcome: "failed", stage: "memory" });
    expect(posted).toEqual([]);
  });

  it("17. stores no time when posting fails, so that the next check tries again", async () => {
    expect(await check({ post: () => Promise.reject(new Error("down")) })).toEqual({ outcome: "failed", stage: "post" });
    expect(await check({ post: async () => false })).toEqual({ outcome: "failed", stage: "post" });
    expect(alerts.size).toBe(0);
    expect(await check()).toMatchObject({ outcome: "posted" });
  });

  it("18. stores no time when it was simulated", async () => {
    await check({ mode: "simulate" });
    expect(alerts.size).toBe(0);
  });

  it("19. stores no time when it was a test", async () => {
    await check({ isTest: true });
    expect(alerts.size).toBe(0);
    expect(await check()).toMatchObject({ outcome: "posted" });
  });

  it("is not sent, and nothing is thrown, when posting throws at once instead of rejecting", async () => {
    const post = (): Promise<boolean> => {
      throw new Error("not even a promise");
    };
    expect(await check({ post })).toEqual({ outcome: "failed", stage: "post" });
  });

  it("counts as sent even when its time cannot be stored", async () => {
    const memory = { alertedAt: async () => undefined, recordAlert: () => Promise.reject(new Error("down")) };
    expect(await check({ memory })).toMatchObject({ outcome: "posted" });
  });
});

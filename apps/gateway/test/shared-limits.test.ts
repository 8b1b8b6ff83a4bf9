import { uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { KeyLimits } from "../src/config/schema.ts";
import type { Refusal } from "../src/security/key-counts.ts";
import type { SharedCounter } from "../src/security/rate-limiter.ts";
import { createSharedCounter } from "../src/security/shared-counter.ts";

const redisUrl = process.env.REDIS_URL as string;
const redisPrefix = uniquePrefix();
const MINUTE = 60_000;

let redis: Redis;
let counter: SharedCounter;
beforeAll(async () => {
  redis = new Redis(redisUrl);
  await redis.ping();
  counter = createSharedCounter(redis, redisPrefix, 10_000);
});
afterAll(() => {
  redis.disconnect();
});

const enter = (keyId: string, limits: KeyLimits): Promise<Refusal | null | undefined> => counter.enter(keyId, limits).refusal;
const placeOf = (keyId: string, what: "requests" | "tokens"): string => `${redisPrefix}:limits:{${keyId}}:${what}`;

/** The time of Redis in milliseconds. */
async function timeOfRedis(): Promise<number> {
  const [seconds, microseconds] = await redis.time();
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
}

/** Has a count look as if amounts had been counted so many milliseconds ago. */
async function count(place: string, amounts: ReadonlyArray<readonly [agoMs: number, amount: number]>): Promise<void> {
  const now = await timeOfRedis();
  const seconds = amounts.map(([agoMs, amount]) => [Math.floor((now - agoMs) / 1000), amount * 1000 + ((now - agoMs) % 1000)] as const);
  const total = amounts.reduce((sum, [, amount]) => sum + amount, 0);
  await redis.hset(place, { total, oldest: Math.min(...seconds.map(([second]) => second)), ...Object.fromEntries(seconds) });
}

describe("the counter that all processes share", () => {
  it("counts up to a limit, and what it refuses does not count", async () => {
    const refused: unknown[] = [];
    for (let round = 0; round < 6; round += 1) refused.push((await enter("a", { requestsPerMinute: 3 }))?.limit);
    expect(refused).toEqual([undefined, undefined, undefined, "requestsPerMinute", "requestsPerMinute", "requestsPerMinute"]);
    const { waitMs } = (await enter("a", { requestsPerMinute: 3 })) as Refusal;
    expect(waitMs).toBeGreaterThan(MINUTE - 10_000);
    expect(waitMs).toBeLessThanOrEqual(MINUTE);
    expect(await enter("a", { requestsPerMinute: 4 })).toBeNull();
    expect(await redis.hget(placeOf("a", "requests"), "total")).toBe("4");
    expect(await enter("b", { requestsPerMinute: 3 })).toBeNull();
  });

  it("charges tokens, and counts no request of a key that has spent too many", async () => {
    const limits = { requestsPerMinute: 10, tokensPerMinute: 100 };
    counter.charge("spender", 99);
    expect(await enter("spender", limits)).toBeNull();
    counter.charge("spender", 1_000_000_007);
    for (let round = 0; round < 3; round += 1) expect(await enter("spender", limits)).toMatchObject({ limit: "tokensPerMinute" });
    expect(await redis.hget(placeOf("spender", "requests"), "total")).toBe("1");
    expect(await redis.hget(placeOf("spender", "tokens"), "total")).toBe("1000000106");
  });

  it("forgets each second when its minute is over, and tells how long it is until there is room", async () => {
    await count(placeOf("c", "requests"), [
      [90_000, 5],
      [59_000, 2],
      [30_500, 3],
    ]);
    const refused = (await enter("c", { requestsPerMinute: 5 })) as Refusal;
    expect(refused.limit).toBe("requestsPerMinute");
    expect(refused.waitMs).toBeLessThanOrEqual(1_000);
    expect(await redis.hget(placeOf("c", "requests"), "total")).toBe("5");
    const later = (await enter("c", { requestsPerMinute: 2 })) as Refusal;
    expect(later.waitMs).toBeGreaterThan(20_000);
    expect(later.waitMs).toBeLessThanOrEqual(29_500);
    await count(placeOf("d", "requests"), [[60_001, 5]]);
    expect(await enter("d", { requestsPerMinute: 5 })).toBeNull();
  });

  it("begins anew when the clock of Redis was set back", async () => {
    await count(placeOf("e", "requests"), [[-3_600_000, 5]]);
    expect(await enter("e", { requestsPerMinute: 5 })).toBeNull();
    expect(await redis.hget(placeOf("e", "requests"), "total")).toBe("1");
  });

  it("is gone without when Redis does not answer in time, or is not there", async () => {
    const silent = { status: "ready", eval: () => new Promise(() => undefined) };
    const absent = { status: "reconnecting", eval: () => Promise.reject(new Error("not connected")) };
    for (const client of [silent, absent, { ...absent, status: "ready" }]) {
      const alone = createSharedCounter(client, redisPrefix);
      expect(await alone.enter("a", { requestsPerMinute: 1 }).refusal).toBeUndefined();
      alone.charge("a", 1);
    }
  });

  it("leaves nothing in Redis for ever", async () => {
    await enter("end", { requestsPerMinute: 1 });
    const left = await redis.pttl(placeOf("end", "requests"));
    expect(left).toBeGreaterThan(MINUTE);
    expect(left).toBeLessThanOrEqual(2 * MINUTE);
  });
});

import { uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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

/** The time of Redis in windows. */
async function windowsPassed(): Promise<number> {
  const [seconds, microseconds] = await redis.time();
  return (Number(seconds) * 1000 + Number(microseconds) / 1000) / MINUTE;
}

describe("the counter that all processes share", () => {
  it("adds up to its limit, tells what one more would make, and does not count that", async () => {
    const counts: Array<number | undefined> = [];
    for (let round = 0; round < 5; round += 1) counts.push(await counter.add("requests:a", 1, MINUTE, 3));
    expect(counts).toEqual([1, 2, 3, 4, 4]);
    expect([await counter.add("requests:a", 0, MINUTE), await counter.add("requests:b", 0, MINUTE)]).toEqual([3, 0]);
  });

  it("counts of the window before what lies within the last minute, and nothing of those before that", async () => {
    for (const [ago, isCounted] of [
      [1, true],
      [2, false],
    ] as const) {
      const key = `${redisPrefix}:limits:tokens:${ago}`;
      const from = await windowsPassed();
      await redis.hset(key, { turn: Math.floor(from) - ago, now: 10_000, former: 7 });
      const count = (await counter.add(`tokens:${ago}`, 1, MINUTE)) as number;
      const to = await windowsPassed();
      // When the window has turned between the two there is nothing to compare.
      if (Math.floor(from) !== Math.floor(to)) continue;
      const share = (at: number): number => (isCounted ? 10_000 * (1 - (at % 1)) : 0);
      expect(count).toBeLessThanOrEqual(Math.ceil(share(from)) + 1);
      expect(count).toBeGreaterThanOrEqual(Math.floor(share(to)));
    }
  });

  it("is gone without when Redis does not answer in time, or is not there", async () => {
    const silent = { status: "ready", eval: () => new Promise(() => undefined) };
    const absent = { status: "reconnecting", eval: () => Promise.reject(new Error("not connected")) };
    for (const client of [silent, absent, { ...absent, status: "ready" }])
      expect(await createSharedCounter(client, redisPrefix).add("requests:a", 1, MINUTE)).toBeUndefined();
  });

  it("leaves nothing in Redis for ever", async () => {
    await counter.add("requests:end", 1, MINUTE);
    const left = await redis.pttl(`${redisPrefix}:limits:requests:end`);
    expect(left).toBeGreaterThan(MINUTE);
    expect(left).toBeLessThanOrEqual(2 * MINUTE);
  });
});

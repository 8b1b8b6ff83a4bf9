import { ManualClock, settle, uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createRedisLock } from "../src/redis-lock.ts";
import { poll } from "./support/poll.ts";

let redis: Redis;
let keyPrefix: string;
beforeAll(() => {
  redis = new Redis(process.env.REDIS_URL ?? "");
});
afterAll(() => redis.disconnect());
beforeEach(() => {
  keyPrefix = uniquePrefix("lock");
});

const key = (): string => `${keyPrefix}:{catalog.0}:lock:sync`;

describe("RedisLock", () => {
  it("lets one holder in at a time, and the next one after it ended or failed", async () => {
    const [one, two] = [createRedisLock({ client: redis, keyPrefix }), createRedisLock({ client: redis, keyPrefix })];
    let release = (): void => {};
    const holding = one.withLock("sync", () => new Promise<string>((resolve) => (release = () => resolve("done"))));
    await poll(() => redis.exists(key())).toBe(1);
    expect(await two.withLock("sync", async () => "mine")).toBe("held");
    release();
    expect(await holding).toBe("done");
    await expect(one.withLock("sync", () => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
    expect(await two.withLock("sync", async () => "mine")).toBe("mine");
  });

  it.each([1500.5, Number.POSITIVE_INFINITY])("takes a time to live of %s ms, though Redis takes whole ones alone", async (ttlMs) => {
    expect(await createRedisLock({ client: redis, keyPrefix, ttlMs }).withLock("sync", async () => redis.pttl(key()))).toBeGreaterThan(0);
  });

  it("is free again when its holder dies and its lease ends", async () => {
    await redis.set(key(), "a dead process", "PX", 50);
    const lock = createRedisLock({ client: redis, keyPrefix });
    expect(await lock.withLock("sync", async () => "mine")).toBe("held");
    await poll(() => lock.withLock("sync", async () => "mine")).toBe("mine");
  });

  it("is lost when Redis has been away for as long as the lease, counted from the last renewal, and not before", async () => {
    const clock = new ManualClock();
    let isAway = false;
    const client = { eval: async () => (isAway ? Promise.reject(new Error("away")) : 1), hmgetBuffer: async () => [] };
    const lock = createRedisLock({ client, keyPrefix, clock, ttlMs: 30_000 });
    const isLost: boolean[] = [];
    await lock.withLock("sync", async (signal) => {
      for (const away of [false, false, false, false, true, true, false, true, true, true]) {
        isAway = away;
        clock.advance(10_000);
        await settle();
        isLost.push(signal.aborted);
      }
    });
    expect(isLost).toEqual([...Array<boolean>(9).fill(false), true]);
  });

  it("renews while the work runs, and tells the work when the lease is another's", async () => {
    const clock = new ManualClock();
    const lock = createRedisLock({ client: redis, keyPrefix, clock, ttlMs: 30_000 });
    let signal: AbortSignal | undefined;
    let release = (): void => {};
    const working = lock.withLock("sync", (given) => {
      signal = given;
      return new Promise<void>((resolve) => (release = resolve));
    });
    await poll(() => signal).toBeDefined();
    await redis.pexpire(key(), 1000);
    clock.advance(10_000);
    await poll(() => redis.pttl(key())).toBeGreaterThan(20_000);
    expect(signal?.aborted).toBe(false);
    await settle();
    await redis.set(key(), "another");
    clock.advance(10_000);
    await poll(() => signal?.aborted).toBe(true);
    release();
    await working;
    expect(await redis.get(key())).toBe("another");
  });
});

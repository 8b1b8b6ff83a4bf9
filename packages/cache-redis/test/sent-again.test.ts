import { Redis } from "ioredis";
import { afterAll, expect, test } from "vitest";
import { IoredisPort } from "../src/ioredis-port.ts";
import type { RedisPortEvents } from "../src/redis-port.ts";
import { openCache, redisUrl } from "./support.ts";

const client = new Redis(redisUrl);
afterAll(() => client.disconnect());

/** A port to the real server that keeps the answers of reads back, and says on demand that a node is there anew. */
class ReplacedPort extends IoredisPort {
  held: Promise<void> | undefined;
  events: RedisPortEvents | undefined;

  override open(events: RedisPortEvents): void {
    this.events = events;
    super.open(events);
  }

  override async getMany(keys: readonly string[]): Promise<ReadonlyArray<Buffer | null>> {
    const reply = await super.getMany(keys);
    await this.held;
    return reply;
  }

  override async get(key: string): Promise<Buffer | null> {
    const reply = await super.get(key);
    await this.held;
    return reply;
  }
}

// Regression (simulator, servers and faults of every kind, seed 343316): a shard's replica was promoted that lacked the last writes, the client sent the read
// again to it that had been under way, and the old value was judged by what was known of the former master.
test("a read that was under way when a node came anew is a miss, whatever it is answered with then (I1)", async () => {
  const port = new ReplacedPort(client, false);
  const cache = await openCache<string>({ port });
  await cache.set("key", "old");
  expect(await cache.get("key")).toBe("old");
  let release = (): void => {};
  port.held = new Promise((resolve) => {
    release = resolve;
  });
  const read = cache.get("key");
  port.events?.onUp();
  release();
  port.held = undefined;
  expect(await read).toBe(undefined);
  await cache.ready();
  expect(await cache.get("key")).toBe("old");
  await cache.close();
});

import { systemClock, TieredCache } from "@larder/cache-core";
import { NaiveCache, uniquePrefix, waitUntil } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, describe, expect, test } from "vitest";
import { IoredisPort } from "../src/ioredis-port.ts";
import type { RedisScript } from "../src/scripts.ts";
import { call, openCache, redisUrl } from "./support.ts";

const client = new Redis(redisUrl);
afterAll(() => client.disconnect());

/** A port to the real server through which scripts of some lanes do not get: what a cluster looks like whose shard is dead. */
class HalfDeadPort extends IoredisPort {
  /** What the key of a lane's record holds when the lane is dead. */
  dead = "";
  /** Marks that did not get through. */
  refused = 0;

  override run(script: RedisScript, keys: readonly string[], args: ReadonlyArray<string | number | Buffer>): Promise<unknown> {
    if (this.dead === "" || !keys[0]?.includes(this.dead)) return super.run(script, keys, args);
    if (script.name === "mark") this.refused += 1;
    return Promise.reject(new Error("the shard is dead"));
  }
}

/** Two processes over four lanes; lane 1 is dead for the first of them. And a key of each kind of lane. */
async function open() {
  const keyPrefix = uniquePrefix();
  const port = new HalfDeadPort(client, false);
  const a = await openCache<string>({ port, keyPrefix, lanes: 4 });
  const b = await openCache<string>({ client, keyPrefix, lanes: 4 });
  const keyOf = async (lane: number): Promise<string> => {
    for (let index = 0; ; index += 1) {
      await b.set(`key:${index}`, "old", { tags: ["red"] });
      if ((await client.exists(`${keyPrefix}:{test.${lane}}:v:key:${index}`)) === 1) return `key:${index}`;
    }
  };
  const keys = { live: await keyOf(0), dead: await keyOf(1) };
  port.dead = "{test.1}";
  const end = async (): Promise<void> => {
    await Promise.all([a.close(), b.close()]);
  };
  return { a, b, port, keys, end };
}

describe("while one shard is dead", () => {
  test.each(["all", "tag", "pattern"] as const)(
    "an invalidation of %s voids what the others hold once, and is read around on the dead one alone",
    async (kind) => {
      const { a, b, port, keys, end } = await open();
      const cache = new TieredCache<string>({ l1: new NaiveCache({ clock: systemClock }), l2: a, backendBudgetMs: 2_000 });
      const invalidate = {
        all: () => cache.invalidateAll(),
        tag: () => cache.invalidateTag("red"),
        pattern: () => cache.invalidateMatching("key:*"),
      };
      expect(await invalidate[kind]()).toEqual({ propagated: false, pending: 1 });
      expect(await b.get(keys.live)).toBe(undefined);
      await b.set(keys.live, "new", { tags: ["red"] });
      await b.set(keys.dead, "unseen", { tags: ["red"] });
      await waitUntil("two retries", () => port.refused >= 3);
      expect(await b.get(keys.live)).toBe("new");
      expect([await cache.get(keys.live), await cache.get(keys.dead)]).toEqual(["new", undefined]);
      port.dead = "";
      await waitUntil("the retry", async () => (await b.get(keys.dead)) === undefined);
      expect(await b.get(keys.live)).toBe("new");
      await b.set(keys.dead, "new");
      await waitUntil("the end of the bypass", async () => (await cache.get(keys.dead)) === "new");
      await cache.close();
      await end();
    },
  );

  test("a clear voids what the others hold once, and is read around on the dead one alone", async () => {
    const { a, b, port, keys, end } = await open();
    await a.clear();
    await b.set(keys.live, "new");
    await waitUntil("two retries", () => port.refused >= 3);
    expect([await a.get(keys.live), await a.get(keys.dead)]).toEqual(["new", undefined]);
    port.dead = "";
    await waitUntil("the retry", async () => (await b.get(keys.dead)) === undefined);
    expect(await b.get(keys.live)).toBe("new");
    await end();
  });

  test("a second invalidation by the same object is one of its own, and told to all", async () => {
    const { a, b, keys, end } = await open();
    const target = { kind: "all" } as const;
    await expect(a.invalidate(target, call())).rejects.toMatchObject({ code: "ERR_CACHE_BACKEND" });
    await b.set(keys.live, "older than the second");
    await expect(a.invalidate(target, call())).rejects.toMatchObject({ code: "ERR_CACHE_BACKEND" });
    expect(await b.get(keys.live)).toBe(undefined);
    await end();
  });
});

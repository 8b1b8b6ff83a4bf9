import { MemoryCache } from "@larder/cache-memory";
import { RedisCache } from "@larder/cache-redis";
import { startRedisServer, waitUntil } from "@larder/cache-testing";
import { afterEach, describe, expect, it } from "vitest";
import { createCoherentCache, RedisInvalidationBus } from "../src/index.ts";
import { caughtUp, type Fleet, type FleetMember, startFleet } from "./fleet.ts";

/*
 * A record that comes back says nothing of what was invalidated while it was away, and who was cut off all that time finds what it knew. Those who saw
 * it go must tell, by a new epoch. With a second tier they did; without one the process that was cut off served the old value until its time to live was
 * over. Found by an audit.
 */

let fleet: Fleet | undefined;
afterEach(async () => {
  await fleet?.close();
  fleet = undefined;
});

const cutOff = async ({ busProxy, storeProxy }: FleetMember): Promise<void> => {
  await Promise.all([busProxy.set({ kind: "refuse" }), storeProxy.set({ kind: "refuse" })]);
  busProxy.reset();
  storeProxy.reset();
};
const heal = async ({ busProxy, storeProxy }: FleetMember): Promise<void> => {
  await Promise.all([busProxy.heal(), storeProxy.heal()]);
};

describe.each([false, true])("with a second tier: %s", (hasSecondTier) => {
  const start = async (): Promise<Fleet> => {
    fleet = await startFleet(hasSecondTier);
    await Promise.all([fleet.a.read(), fleet.b.read()]);
    return fleet;
  };

  it("a process that was cut off while the databases were swapped twice gets none of what was invalidated in between", async () => {
    const { server, database, a, b } = await start();
    await cutOff(b);
    await server.command("SWAPDB", "0", "1");
    await waitUntil("a is in the other database", async () => (await a.write()).propagated);
    await caughtUp(a);
    await server.command("SWAPDB", "0", "1");
    await caughtUp(a);
    await heal(b);
    await caughtUp(b);
    await waitUntil("b has the new value", async () => (await b.read()) === database.get("k"));
  });

  it("also when the other database was there only for the invalidation, and no heartbeat saw it", async () => {
    const { server, database, a, b } = await start();
    await cutOff(b);
    await server.command("SWAPDB", "0", "1");
    await waitUntil("a has told of it there", async () => (await a.write()).propagated);
    await server.command("SWAPDB", "0", "1");
    await caughtUp(a);
    await heal(b);
    await caughtUp(b);
    await waitUntil("b has the new value", async () => (await b.read()) === database.get("k"));
  });

  it("and a record that is put back as it was before is not taken for the present one", async () => {
    const { server, database, a, b } = await start();
    const record = "larder:{fleet.0}:version";
    await server.command("COPY", record, "before");
    await cutOff(b);
    await waitUntil("a has told of it", async () => (await a.write()).propagated);
    await caughtUp(a);
    await server.command("COPY", "before", record, "REPLACE");
    await caughtUp(a);
    await heal(b);
    await caughtUp(b);
    await waitUntil("b has the new value", async () => (await b.read()) === database.get("k"));
  });
});

// Regression (found with the simulator): the bus had been told of the other database's epoch, the second tier had not been asked
// meanwhile. Until the next heartbeat it gave the old value again.
it("a second tier that was not asked meanwhile gives nothing of an epoch that its bus saw go (I2)", async () => {
  await using server = await startRedisServer();
  const open = async () => {
    const bus = new RedisInvalidationBus({ url: server.url, heartbeatMs: 60_000 });
    const l2 = new RedisCache<string>({ url: server.url, namespace: "n", timeoutMs: 2_000, writeTimeoutMs: 2_000 });
    const l1 = new MemoryCache<never>({ maxEntries: 10 });
    const cache = createCoherentCache<string>({ l1, l2, bus, maxStalenessMs: 120_000, backendBudgetMs: 2_000 });
    await Promise.all([cache.ready(), l2.ready()]);
    const close = async (): Promise<void> => {
      await cache.close();
      bus.close();
      await l2.close();
    };
    return { bus, cache, l2, close };
  };
  const [one, other] = await Promise.all([open(), open()]);
  expect(await one.cache.get("k", async () => "v1")).toBe("v1");
  await waitUntil("the second tier has it", () => one.l2.has("k"));
  await server.command("SWAPDB", "0", "1");
  expect(await other.cache.invalidate("k")).toMatchObject({ propagated: true });
  await waitUntil("the bus has asked, and seen the other epoch", () => one.bus.stats().resets > 0);
  await server.command("SWAPDB", "0", "1");
  expect(await one.cache.get("k", async () => "v2")).toBe("v2");
  await Promise.all([one.close(), other.close()]);
});
